/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What steps hand to each other. A value has one owner; what it points to may be the client's. */

#include <sconce/engine.h>
#include <stdbool.h>
#include <yyjson.h>

#include "base/slice.h"
#include "image/gpu.h"

enum kind {
	KIND_NONE,
	KIND_BYTES,
	KIND_TEXT,
	KIND_JSON,
	KIND_IMAGE,
	KIND_TENSOR,
	KIND_FOUND,
	KIND_ANSWER, /* it lies in the run */
	KINDS
};

/* Something that a model has found: a class of the whole picture, or an object on it. */
struct found {
	int64_t class;
	float score, box[4]; /* x1 y1 x2 y2 */
	struct slice name;
	bool shared; /* others may have the same name */
};

struct value {
	enum kind kind;
	struct slice bytes;
	yyjson_val *json;
	struct image *image;
	struct sconce_tensor tensor;
	struct found *found;
	size_t n_found;
	bool has_boxes, has_names;
	struct image_gpu *gpu; /* in whose memory the tensor lies; NULL: the host's */
	/* What is freed with it. */
	void *owned;
	yyjson_doc *doc;
};

void value_finish(struct value *v); /* empty afterwards */
/* "a tensor"; never NULL. */
const char *kind_name(enum kind kind);
/* Memory for a tensor of v->tensor's dtype and shape, 64-byte aligned; NULL: no memory. */
void *value_place(struct value *v);
/* Element i as a number; not of BYTES. */
double value_number(const struct sconce_tensor *t, uint64_t i);
/* The tensor's elements as floats: where they lie, or in *ret_own, which is to be freed. NULL: no
 * memory, or they are no numbers. */
const float *value_floats(const struct value *v, float **ret_own);
