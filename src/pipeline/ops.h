/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The rows of the table of ops, by file. */

#include <string.h>

#include "base/util.h"
#include "pipeline/step.h"

#define OPS_ANY_MAX ((double)(1 << 30))

/* ops_input.c */
extern const struct op op_from_json, op_from_npy, op_from_raw;
/* ops_image.c */
extern const struct op op_convert, op_orient, op_resize, op_crop, op_center_crop, op_pad, op_flip,
	op_to_tensor, op_normalize;
/* ops_tensor.c */
extern const struct op op_cast, op_transpose, op_reshape, op_batch;
/* ops_scores.c */
extern const struct op op_softmax, op_sigmoid, op_argmax, op_best, op_topk;
/* ops_found.c */
extern const struct op op_boxes, op_nms, op_labels;
/* ops_picture.c */
extern const struct op op_mask, op_to_image;
/* ops_encode.c */
extern const struct op op_encode_json, op_encode_npy, op_encode_raw, op_encode_png, op_encode_jpeg;

/* The sizes of params.shape into t, which has `count` elements. 0 or SCONCE_BAD_INPUT. */
int ops_shape(const struct step *s, uint64_t count, struct sconce_tensor *t,
	      struct sconce_error *e);
/* The axis that is meant, of `ndim`; -1: there is no such. */
int ops_axis(int64_t axis, uint32_t ndim);
int ops_no_memory(const struct step *s, struct sconce_error *e);
