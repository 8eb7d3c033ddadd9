/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/tensor.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"

/* About as many rows of one element as a request of the default size may have. */
#define EMPTY_MAX ((uint64_t)1 << 20)

static const struct {
	const char *name, *numpy;
} dtypes[SCONCE_DTYPES] = {
	[SCONCE_DTYPE_ANY] = { "ANY", "" },       [SCONCE_BOOL] = { "BOOL", "bool" },
	[SCONCE_UINT8] = { "UINT8", "uint8" },    [SCONCE_UINT16] = { "UINT16", "uint16" },
	[SCONCE_UINT32] = { "UINT32", "uint32" }, [SCONCE_UINT64] = { "UINT64", "uint64" },
	[SCONCE_INT8] = { "INT8", "int8" },       [SCONCE_INT16] = { "INT16", "int16" },
	[SCONCE_INT32] = { "INT32", "int32" },    [SCONCE_INT64] = { "INT64", "int64" },
	[SCONCE_FP16] = { "FP16", "float16" },    [SCONCE_FP32] = { "FP32", "float32" },
	[SCONCE_FP64] = { "FP64", "float64" },    [SCONCE_BF16] = { "BF16", "bfloat16" },
	[SCONCE_BYTES] = { "BYTES", "bytes" },
};

int tensor_refuse(struct sconce_error *e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	return SCONCE_BAD_INPUT;
}

const char *dtype_name(uint32_t dtype)
{
	return dtypes[dtype < SCONCE_DTYPES ? dtype : SCONCE_DTYPE_ANY].name;
}

uint32_t dtype_by_name(struct slice name)
{
	for (uint32_t i = 1; i < SCONCE_DTYPES; i++)
		if (slice_ieq(name, slice_str(dtypes[i].name)) ||
		    slice_eq(name, slice_str(dtypes[i].numpy)))
			return i;
	return SCONCE_DTYPE_ANY;
}

bool tensor_count(const struct sconce_tensor *t, uint64_t *ret)
{
	uint64_t n = 1;

	if (t->ndim > SCONCE_NDIM_MAX)
		return false;
	for (uint32_t i = 0; i < t->ndim; i++)
		if (t->shape[i] < 0 || __builtin_mul_overflow(n, (uint64_t)t->shape[i], &n))
			return false;
	*ret = n;
	return true;
}

/* Each element its length and then so many bytes. */
static bool bytes_sound(const struct sconce_tensor *t, uint64_t count)
{
	const char *p = t->data;
	uint64_t left = t->bytes;
	uint32_t n;

	for (uint64_t i = 0; i < count; i++) {
		if (left < sizeof(n))
			return false;
		memcpy(&n, p, sizeof(n));
		if (n > left - sizeof(n))
			return false;
		p += sizeof(n) + n;
		left -= sizeof(n) + n;
	}
	return !left;
}

bool tensor_sound(const struct sconce_tensor *t)
{
	uint64_t count, bytes;

	if (!t->dtype || t->dtype >= SCONCE_DTYPES || !tensor_count(t, &count) ||
	    (t->bytes && !t->data))
		return false;
	if (t->dtype == SCONCE_BYTES)
		return bytes_sound(t, count);
	return !__builtin_mul_overflow(count, (uint64_t)sconce_dtype_size(t->dtype), &bytes) &&
	       bytes == t->bytes;
}

bool tensor_bools_sound(const struct sconce_tensor *t)
{
	const uint8_t *p = t->data;

	for (uint64_t i = 0; t->dtype == SCONCE_BOOL && i < t->bytes; i++)
		if (p[i] > 1)
			return false;
	return true;
}

bool tensor_empty_is_bounded(const struct sconce_tensor *t)
{
	uint64_t walked = 1;
	bool empty = false;

	for (uint32_t i = 0; i < t->ndim; i++) {
		empty = empty || !t->shape[i];
		if (t->shape[i] && __builtin_mul_overflow(walked, (uint64_t)t->shape[i], &walked))
			walked = UINT64_MAX;
	}
	return !empty || walked <= EMPTY_MAX;
}

void shape_write(char *out, size_t room, const int64_t *shape, uint32_t ndim)
{
	size_t n = (size_t)snprintf(out, room, "[");

	for (uint32_t i = 0; i < ndim && n < room; i++)
		n += (size_t)snprintf(out + n, room - n, "%s%lld", i ? ", " : "",
				      (long long)shape[i]);
	if (n < room)
		snprintf(out + n, room - n, "]");
}

static bool shape_fits(const struct sconce_tensor *t, const struct sconce_tensor_spec *spec)
{
	if (spec->ndim == SCONCE_NDIM_ANY)
		return true;
	for (uint32_t i = 0; i < t->ndim && t->ndim == spec->ndim; i++)
		if (spec->shape[i] != SCONCE_DIM_ANY && spec->shape[i] != t->shape[i])
			return false;
	return t->ndim == spec->ndim;
}

int tensor_fit(struct sconce_tensor *t, const struct sconce_tensor_spec *spec, bool *ret_added,
	       struct sconce_error *e)
{
	char wanted[400], came[400];

	*ret_added = false;
	if (!tensor_empty_is_bounded(t))
		return tensor_refuse(e,
				     "input \"%s\" has no elements, but sizes that are too large",
				     spec->name);
	if (spec->dtype && t->dtype != spec->dtype)
		return tensor_refuse(e, "input \"%s\" must be %s, but is %s", spec->name,
				     dtype_name(spec->dtype), dtype_name(t->dtype));
	if (spec->ndim != SCONCE_NDIM_ANY && t->ndim + 1 == spec->ndim &&
	    (spec->shape[0] == SCONCE_DIM_ANY || spec->shape[0] == 1)) {
		memmove(t->shape + 1, t->shape, t->ndim * sizeof(*t->shape));
		t->shape[0] = 1;
		t->ndim++;
		*ret_added = true;
	}
	if (shape_fits(t, spec))
		return 0;
	shape_write(wanted, sizeof(wanted), spec->shape, MIN(spec->ndim, SCONCE_NDIM_MAX));
	shape_write(came, sizeof(came), t->shape, t->ndim);
	return tensor_refuse(e, "input \"%s\" must have the shape %s (-1: any), but has %s",
			     spec->name, wanted, came);
}
