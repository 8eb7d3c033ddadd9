/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Tensors between what clients send and what an engine takes: types, sizes, and what fits what. */

#include <sconce/engine.h>
#include <stdbool.h>

#include "base/slice.h"

/* One sentence for the client; always returns SCONCE_BAD_INPUT. */
int tensor_refuse(struct sconce_error *e, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* "FP32"; "ANY". Never NULL. */
const char *dtype_name(uint32_t dtype);
/* By the names of the Open Inference Protocol, or numpy's ("float32"); SCONCE_DTYPE_ANY: none. */
uint32_t dtype_by_name(struct slice name);

/* The number of elements; false when it cannot be counted, or a dimension is negative. */
bool tensor_count(const struct sconce_tensor *t, uint64_t *ret);
/* Is it what an engine may have made: known type, sane shape, as many bytes as these need? */
bool tensor_sound(const struct sconce_tensor *t);
/* Of a sound one: are its elements, where they are BOOL, 0 or 1? */
bool tensor_bools_sound(const struct sconce_tensor *t);
/* A few bytes may say that there are no elements, but 2^62 rows of them: whoever walks along these,
 * or makes a number of each, is to come to an end. True where there are elements. */
bool tensor_empty_is_bounded(const struct sconce_tensor *t);
/* "[1, 3, -1]" into `out`. */
void shape_write(char *out, size_t room, const int64_t *shape, uint32_t ndim);
/* Fits it what the model says of an input? A leading dimension of 1 that is missing, and may be
 * anything, is added, and *ret_added says so. 0, or SCONCE_BAD_INPUT. */
int tensor_fit(struct sconce_tensor *t, const struct sconce_tensor_spec *spec, bool *ret_added,
	       struct sconce_error *e);
