/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/request.h"

/* Numbers in JSON: what torch.FloatTensor() makes of them. */

#include <math.h>
#include <string.h>

#include "base/util.h"
#include "base/half.h"
#include "pipeline/tensor.h"

struct filling {
	const struct step *s;
	struct sconce_tensor *t;
	char *at;
	struct sconce_error *e;
};

/* Numbers as C casts them, which is what torch does; a flag is a number in Python. */
static int put(struct filling *f, yyjson_val *v)
{
	double real = yyjson_is_bool(v) ? yyjson_get_bool(v) : yyjson_get_num(v);
	float single = (float)real;
	uint16_t half;
	int64_t whole;

	if (!yyjson_is_num(v) && !yyjson_is_bool(v))
		return step_fail(f->e, f->s, SCONCE_BAD_INPUT,
				 "the lists hold something other than numbers");
	switch (f->t->dtype) {
	case SCONCE_FP32:
		memcpy(f->at, &single, sizeof(single));
		break;
	case SCONCE_FP64:
		memcpy(f->at, &real, sizeof(real));
		break;
	case SCONCE_FP16:
	case SCONCE_BF16:
		half = f->t->dtype == SCONCE_FP16 ? half_from_float(single)
						  : bfloat_from_float(single);
		memcpy(f->at, &half, sizeof(half));
		break;
	default:
		if (real != floor(real) || fabs(real) > 9e15)
			return step_fail(f->e, f->s, SCONCE_BAD_INPUT,
					 "the lists hold something other than whole numbers");
		whole = (int64_t)real;
		if (f->t->dtype == SCONCE_BOOL)
			whole = whole != 0;
		memcpy(f->at, &whole, sconce_dtype_size(f->t->dtype));
		break;
	}
	f->at += sconce_dtype_size(f->t->dtype);
	return 0;
}

/* Depth is bounded by the shape that the first elements have given. */
static int fill(struct filling *f, yyjson_val *v, uint32_t depth)
{
	yyjson_val *item;
	size_t i, n;

	if (depth == f->t->ndim)
		return put(f, v);
	if (!yyjson_is_arr(v) || yyjson_arr_size(v) != (size_t)f->t->shape[depth])
		return step_fail(f->e, f->s, SCONCE_BAD_INPUT,
				 "the lists differ in length or depth");
	yyjson_arr_foreach(v, i, n, item)
	{
		int r = fill(f, item, depth + 1);

		if (r < 0)
			return r;
	}
	return 0;
}

int lists_read(const struct step *s, yyjson_val *v, size_t values, uint32_t dtype,
	       struct value *out, struct sconce_error *e)
{
	struct filling f = { .s = s, .t = &out->tensor, .e = e };
	yyjson_val *in = v;
	uint64_t count;

	if (!yyjson_is_arr(v))
		return step_fail(e, s, SCONCE_BAD_INPUT,
				 "it takes lists of numbers, not other JSON");
	out->tensor = (struct sconce_tensor){ .dtype = dtype };
	for (; yyjson_is_arr(in); in = yyjson_arr_get_first(in)) {
		if (out->tensor.ndim == SCONCE_NDIM_MAX)
			return step_fail(e, s, SCONCE_BAD_INPUT,
					 "the lists have more than %d dimensions", SCONCE_NDIM_MAX);
		out->tensor.shape[out->tensor.ndim++] = (int64_t)yyjson_arr_size(in);
	}
	/* The first lists may promise more elements than the document has values. */
	if (!tensor_count(&out->tensor, &count) || count > values)
		return step_fail(e, s, SCONCE_BAD_INPUT, "the lists differ in length or depth");
	if (!value_place(out))
		return step_fail(e, s, SCONCE_NO_MEMORY, "there is no memory for the numbers");
	f.at = out->tensor.data;
	return fill(&f, v, 0);
}
