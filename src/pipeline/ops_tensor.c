/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/ops.h"

/* Tensors in another type or another order. */

#include <math.h>
#include <string.h>

#include "base/half.h"
#include "pipeline/tensor.h"

#define AT(field) offsetof(struct params, field)
#define TENSOR KIND_BIT(KIND_TENSOR)

int ops_no_memory(const struct step *s, struct sconce_error *e)
{
	return step_fail(e, s, SCONCE_NO_MEMORY, "there is no memory for its result");
}

int ops_axis(int64_t axis, uint32_t ndim)
{
	axis = axis < 0 ? axis + ndim : axis;
	return axis >= 0 && axis < ndim ? (int)axis : -1;
}

/* ---- cast ---- */

static const struct param cast_params[] = {
	{ "datatype", PARAM_DATATYPE, AT(dtype), "FP32, UINT8, INT64 …", .required = true },
};

static int cast_check(const struct step *s, const struct type *in, struct type *out,
		      struct sconce_error *e)
{
	(void)e;
	*out = *in;
	out->dtype = s->params.dtype;
	return 0;
}

/* Fractions are cut off, and what is out of bounds is the nearest bound: C leaves it open. */
static void put_whole(char *to, uint32_t dtype, double v)
{
	static const struct {
		double min, max;
	} bounds[SCONCE_DTYPES] = {
		[SCONCE_UINT8] = { 0, UINT8_MAX },
		[SCONCE_UINT16] = { 0, UINT16_MAX },
		[SCONCE_UINT32] = { 0, UINT32_MAX },
		[SCONCE_UINT64] = { 0, 18446744073709549568.0 },
		[SCONCE_INT8] = { INT8_MIN, INT8_MAX },
		[SCONCE_INT16] = { INT16_MIN, INT16_MAX },
		[SCONCE_INT32] = { INT32_MIN, INT32_MAX },
		[SCONCE_INT64] = { (double)INT64_MIN, 9223372036854774784.0 },
	};
	uint64_t bits;

	v = isnan(v)                ? 0
	    : v < bounds[dtype].min ? bounds[dtype].min
	    : v > bounds[dtype].max ? bounds[dtype].max
				    : v;
	bits = v < 0 ? (uint64_t)(int64_t)v : (uint64_t)v;
	memcpy(to, &bits, sconce_dtype_size(dtype));
}

static void put_number(char *to, uint32_t dtype, double v)
{
	float single = (float)v;
	uint16_t half;

	switch (dtype) {
	case SCONCE_FP64:
		memcpy(to, &v, sizeof(v));
		break;
	case SCONCE_FP32:
		memcpy(to, &single, sizeof(single));
		break;
	case SCONCE_FP16:
	case SCONCE_BF16:
		half = dtype == SCONCE_FP16 ? half_from_float(single) : bfloat_from_float(single);
		memcpy(to, &half, sizeof(half));
		break;
	case SCONCE_BOOL:
		*to = v != 0;
		break;
	default:
		put_whole(to, dtype, v);
		break;
	}
}

static int cast_run(const struct step *s, struct pipeline_run *run, const struct value *in,
		    struct value *out, struct sconce_error *e)
{
	size_t size = sconce_dtype_size(s->params.dtype);
	uint64_t n = 0;

	(void)run;
	if (in->tensor.dtype == SCONCE_BYTES)
		return step_fail(e, s, SCONCE_BAD_INPUT, "texts are no numbers");
	out->tensor = in->tensor;
	out->tensor.release = NULL;
	out->tensor.dtype = s->params.dtype;
	if (!value_place(out))
		return ops_no_memory(s, e);
	tensor_count(&in->tensor, &n);
	for (uint64_t i = 0; i < n; i++)
		put_number((char *)out->tensor.data + i * size, s->params.dtype,
			   value_number(&in->tensor, i));
	return 0;
}

const struct op op_cast = {
	.name = "cast",
	.help = "the same numbers in another datatype",
	.takes = TENSOR,
	.gives = KIND_TENSOR,
	.params = cast_params,
	.n_params = ARRAY_LEN(cast_params),
	.check = cast_check,
	.run = cast_run,
};

/* ---- transpose ---- */

static const struct param transpose_params[] = {
	{ "axes", PARAM_INTEGERS, AT(axes), "which of its axes comes where: [1, 2, 0]", .max = 15,
	  .required = true },
};

static int transpose_check(const struct step *s, const struct type *in, struct type *out,
			   struct sconce_error *e)
{
	const struct step_numbers *axes = &s->params.axes;
	uint32_t seen = 0;

	for (unsigned i = 0; i < axes->n; i++)
		seen |= 1u << axes->v[i];
	if (!axes->n || seen != (1u << axes->n) - 1)
		return step_fail(e, s, -1, "axes must have each axis once");
	if (in->ndim != SCONCE_NDIM_ANY && in->ndim != axes->n)
		return step_fail(e, s, -1, "it has %u axes, but is given %u", axes->n, in->ndim);
	*out = *in;
	for (unsigned i = 0; i < axes->n && in->ndim != SCONCE_NDIM_ANY; i++)
		out->shape[i] = in->shape[axes->v[i]];
	return 0;
}

/* Elements in the order of the result; `stride`: bytes in the source for a step along each axis. */
static void gather(const struct sconce_tensor *t, const size_t *stride, size_t size,
		   const char *from, char **to, uint32_t axis)
{
	for (int64_t i = 0; i < t->shape[axis]; i++, from += stride[axis]) {
		if (axis + 1 < t->ndim) {
			gather(t, stride, size, from, to, axis + 1);
			continue;
		}
		memcpy(*to, from, size);
		*to += size;
	}
}

static int transpose_run(const struct step *s, struct pipeline_run *run, const struct value *in,
			 struct value *out, struct sconce_error *e)
{
	const struct step_numbers *axes = &s->params.axes;
	size_t size = sconce_dtype_size(in->tensor.dtype), stride[SCONCE_NDIM_MAX];
	size_t step = size, each[SCONCE_NDIM_MAX];
	char *to;

	(void)run;
	if (in->tensor.ndim != axes->n || !size)
		return step_fail(e, s, SCONCE_BAD_INPUT, "it takes a tensor with %u axes", axes->n);
	for (uint32_t i = axes->n; i--; step *= (size_t)in->tensor.shape[i])
		each[i] = step;
	out->tensor = in->tensor;
	out->tensor.release = NULL;
	for (unsigned i = 0; i < axes->n; i++) {
		out->tensor.shape[i] = in->tensor.shape[axes->v[i]];
		stride[i] = each[axes->v[i]];
	}
	to = value_place(out);
	if (!to)
		return ops_no_memory(s, e);
	gather(&out->tensor, stride, size, in->tensor.data, &to, 0);
	return 0;
}

const struct op op_transpose = {
	.name = "transpose",
	.help = "axes in another order",
	.takes = TENSOR,
	.gives = KIND_TENSOR,
	.params = transpose_params,
	.n_params = ARRAY_LEN(transpose_params),
	.check = transpose_check,
	.run = transpose_run,
};

/* ---- reshape, batch ---- */

static int view(const struct step *s, struct pipeline_run *run, const struct value *in,
		const struct sconce_tensor *shape, struct value *out, struct sconce_error *e)
{
	const struct ref *from = &s->from[0];
	bool last = from->step >= 0 && from->step != run->p->infer &&
		    run->p->steps[from->step].last_use == (int)s->number - 1;

	out->tensor = in->tensor;
	out->tensor.release = NULL;
	out->tensor.ndim = shape->ndim;
	memcpy(out->tensor.shape, shape->shape, sizeof(shape->shape));
	if (!sconce_dtype_size(in->tensor.dtype))
		return step_fail(e, s, SCONCE_BAD_INPUT, "it takes numbers");
	/* What it lies in may be given up before it, or is its own if nobody else needs it. */
	if (last) {
		out->kind = KIND_TENSOR;
		out->gpu = in->gpu;
		out->owned = TAKE(run->values[from->step].owned);
		return 0;
	}
	if (!value_place(out))
		return ops_no_memory(s, e);
	if (in->tensor.bytes) /* what has no elements may lie nowhere */
		memcpy(out->tensor.data, in->tensor.data, in->tensor.bytes);
	return 0;
}

static const struct param reshape_params[] = {
	{ "shape", PARAM_INTEGERS, AT(shape), "the new sizes; one may be -1", .min = -1,
	  .max = OPS_ANY_MAX, .required = true },
};

static int reshape_check(const struct step *s, const struct type *in, struct type *out,
			 struct sconce_error *e)
{
	unsigned any = 0;

	*out = *in;
	out->ndim = s->params.shape.n;
	for (unsigned i = 0; i < out->ndim; i++) {
		out->shape[i] = s->params.shape.v[i];
		any += out->shape[i] < 0;
	}
	return any < 2 ? 0 : step_fail(e, s, -1, "shape: only one size may be -1");
}

static int reshape_run(const struct step *s, struct pipeline_run *run, const struct value *in,
		       struct value *out, struct sconce_error *e)
{
	struct sconce_tensor shape = { 0 };
	uint64_t n = 0;

	tensor_count(&in->tensor, &n);
	if (ops_shape(s, n, &shape, e) < 0)
		return SCONCE_BAD_INPUT;
	return view(s, run, in, &shape, out, e);
}

const struct op op_reshape = {
	.name = "reshape",
	.help = "the same elements in another shape",
	.takes = TENSOR,
	.gives = KIND_TENSOR,
	.params = reshape_params,
	.n_params = ARRAY_LEN(reshape_params),
	.check = reshape_check,
	.run = reshape_run,
};

static int batch_check(const struct step *s, const struct type *in, struct type *out,
		       struct sconce_error *e)
{
	*out = *in;
	if (in->ndim == SCONCE_NDIM_ANY)
		return 0;
	if (in->ndim == SCONCE_NDIM_MAX)
		return step_fail(e, s, -1, "it would be the %dth dimension", SCONCE_NDIM_MAX + 1);
	memmove(out->shape + 1, in->shape, in->ndim * sizeof(*in->shape));
	out->shape[0] = 1;
	out->ndim++;
	return 0;
}

static int batch_run(const struct step *s, struct pipeline_run *run, const struct value *in,
		     struct value *out, struct sconce_error *e)
{
	struct sconce_tensor shape = { .ndim = in->tensor.ndim + 1, .shape = { 1 } };

	if (in->tensor.ndim == SCONCE_NDIM_MAX)
		return step_fail(e, s, SCONCE_BAD_INPUT, "the tensor has %d dimensions already",
				 SCONCE_NDIM_MAX);
	memcpy(shape.shape + 1, in->tensor.shape, in->tensor.ndim * sizeof(*shape.shape));
	return view(s, run, in, &shape, out, e);
}

const struct op op_batch = {
	.name = "batch",
	.help = "a first dimension, along which infer stacks requests; then each has its row again",
	.takes = TENSOR,
	.gives = KIND_TENSOR,
	.check = batch_check,
	.run = batch_run,
};
