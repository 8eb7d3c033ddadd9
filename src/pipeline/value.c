/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/value.h"

#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "base/half.h"
#include "pipeline/tensor.h"

#define VALUE_ALIGN ((size_t)64)

const char *kind_name(enum kind kind)
{
	static const char *const names[KINDS] = {
		[KIND_NONE] = "nothing",   [KIND_BYTES] = "bytes",   [KIND_TEXT] = "text",
		[KIND_JSON] = "JSON",      [KIND_IMAGE] = "image",   [KIND_TENSOR] = "tensor",
		[KIND_FOUND] = "findings", [KIND_ANSWER] = "answer",
	};

	return names[kind < KINDS ? kind : KIND_NONE];
}

void value_finish(struct value *v)
{
	if (v->image)
		image_free(v->image);
	free(v->image);
	free(v->found);
	if (v->gpu && v->owned)
		image_gpu_free(v->gpu, v->owned);
	else
		free(v->owned);
	yyjson_doc_free(v->doc);
	*v = (struct value){ 0 };
}

void *value_place(struct value *v)
{
	uint64_t count, bytes;

	if (!tensor_count(&v->tensor, &count) ||
	    __builtin_mul_overflow(count, (uint64_t)sconce_dtype_size(v->tensor.dtype), &bytes) ||
	    bytes > SIZE_MAX / 2)
		return NULL;
	free(v->owned);
	v->owned = aligned_alloc(VALUE_ALIGN, ALIGN_UP((size_t)bytes + 1, VALUE_ALIGN));
	v->tensor.data = v->owned;
	v->tensor.bytes = bytes;
	v->kind = KIND_TENSOR;
	return v->owned;
}

double value_number(const struct sconce_tensor *t, uint64_t i)
{
	union {
		uint64_t u64;
		int64_t i64;
		double f64;
		uint32_t u32;
		int32_t i32;
		float f32;
		uint16_t u16;
		int16_t i16;
		uint8_t u8;
		int8_t i8;
	} v = { 0 };
	size_t size = sconce_dtype_size(t->dtype);

	memcpy(&v, (const char *)t->data + i * size, size);
	switch (t->dtype) {
	case SCONCE_BOOL:
	case SCONCE_UINT8:
		return (double)v.u8;
	case SCONCE_UINT16:
		return (double)v.u16;
	case SCONCE_UINT32:
		return (double)v.u32;
	case SCONCE_UINT64:
		return (double)v.u64;
	case SCONCE_INT8:
		return (double)v.i8;
	case SCONCE_INT16:
		return (double)v.i16;
	case SCONCE_INT32:
		return (double)v.i32;
	case SCONCE_INT64:
		return (double)v.i64;
	case SCONCE_FP16:
		return (double)half_to_float(v.u16);
	case SCONCE_BF16:
		return (double)bfloat_to_float(v.u16);
	case SCONCE_FP64:
		return (double)v.f64;
	default:
		return (double)v.f32;
	}
}

const float *value_floats(const struct value *v, float **ret_own)
{
	uint64_t n;

	*ret_own = NULL;
	/* What has no elements may lie nowhere: then there is a place for none. */
	if (v->tensor.dtype == SCONCE_FP32 && v->tensor.data &&
	    (uintptr_t)v->tensor.data % _Alignof(float) == 0)
		return v->tensor.data;
	if (!tensor_count(&v->tensor, &n) || !sconce_dtype_size(v->tensor.dtype) ||
	    n > SIZE_MAX / 2 / sizeof(float))
		return NULL;
	*ret_own = malloc(MAX(n, 1) * sizeof(float));
	for (uint64_t i = 0; *ret_own && i < n; i++)
		(*ret_own)[i] = (float)value_number(&v->tensor, i);
	return *ret_own;
}
