/* SPDX-License-Identifier: Apache-2.0 */
#include "onnx.h"

/* Tensors and ONNX Runtime's values. */

#include <stdlib.h>
#include <string.h>

/* Negative: too many. */
static int count_of(const int64_t *shape, uint32_t n, uint64_t *ret)
{
	*ret = 1;
	while (n)
		if (shape[--n] < 0 || __builtin_mul_overflow(*ret, (uint64_t)shape[n], ret))
			return -1;
	return 0;
}

/* ---- texts ---- */

/* The next of `left` bytes; negative: it is longer than what is left. */
static int next_text(const char **from, uint64_t *left, const char **ret, uint32_t *ret_n)
{
	uint32_t n;

	if (*left < sizeof(n))
		return -1;
	memcpy(&n, *from, sizeof(n));
	if (n > *left - sizeof(n))
		return -1;
	*ret = *from + sizeof(n);
	*ret_n = n;
	*from += sizeof(n) + n;
	*left -= sizeof(n) + n;
	return 0;
}

/* Before 1.15 texts end with a zero, so they cannot have one inside. */
static int put_text(struct onnx *o, ort_value *v, uint64_t i, const char *text, uint32_t n,
		    struct sconce_error *e)
{
	char *place = NULL;
	int r = onnx_check(o, o->api->resize_string(v, i, n, &place), e);

	if (!r && n)
		memcpy(place, text, n);
	return r;
}

static int put_ended_texts(struct onnx *o, ort_value *v, const struct sconce_tensor *t,
			   uint64_t count, struct sconce_error *e)
{
	const char **texts = calloc(count + 1, sizeof(*texts)), *from = t->data, *text;
	char *copy = malloc(t->bytes + 1), *to = copy;
	uint64_t left = t->bytes, i;
	uint32_t n;
	int r = texts && copy ? 0 : kit_no_memory(e);

	for (i = 0; !r && i < count && !next_text(&from, &left, &text, &n); i++) {
		if (memchr(text, '\0', n))
			r = kit_fail(e, SCONCE_BAD_INPUT,
				     "texts with a zero byte need ONNX Runtime 1.15");
		texts[i] = memcpy(to, text, n);
		to[n] = '\0';
		to += n + 1;
	}
	if (!r)
		r = onnx_check(o, o->api->fill_strings(v, texts, count), e);
	free(texts);
	free(copy);
	return r;
}

static int put_texts(struct onnx *o, ort_value *v, const struct sconce_tensor *t, uint64_t count,
		     struct sconce_error *e)
{
	const char *from = t->data, *text = NULL;
	uint64_t left = t->bytes, i;
	uint32_t n = 0;
	int r = 0;

	if (o->api_version < 15)
		return put_ended_texts(o, v, t, count, e);
	for (i = 0; !r && i < count && !next_text(&from, &left, &text, &n); i++)
		r = put_text(o, v, i, text, n, e);
	return r;
}

/* Before anything is made for them: a shape costs nothing to claim. */
static int check_texts(const struct sconce_tensor *t, uint64_t count, struct sconce_error *e)
{
	const char *from = t->data, *text;
	uint64_t left = t->bytes;
	uint32_t n;

	for (uint64_t i = 0; i < count; i++)
		if (next_text(&from, &left, &text, &n) < 0)
			return kit_fail(e, SCONCE_BAD_INPUT,
					"a tensor of BYTES ends within element %llu",
					(unsigned long long)i);
	return left ? kit_fail(e, SCONCE_BAD_INPUT,
			       "a tensor of BYTES goes on after its last element")
		    : 0;
}

static int texts_value(struct onnx *o, const struct sconce_tensor *t, ort_value **ret,
		       struct sconce_error *e)
{
	uint64_t count;
	int r;

	if (count_of(t->shape, t->ndim, &count) < 0)
		return kit_fail(e, SCONCE_BAD_INPUT, "a tensor of BYTES has an impossible shape");
	r = check_texts(t, count, e);
	if (!r)
		r = onnx_check(
			o, o->api->create_tensor(o->allocator, t->shape, t->ndim, ORT_STRING, ret),
			e);
	return r ? r : put_texts(o, *ret, t, count, e);
}

/* ---- numbers ---- */

int onnx_value(struct onnx *o, const struct sconce_tensor *t, ort_value **ret, void **ret_copy,
	       struct sconce_error *e)
{
	static char nothing[64] __attribute__((aligned(64)));
	size_t element = sconce_dtype_size(t->dtype);
	void *data = t->bytes ? t->data : nothing;

	if (t->dtype == SCONCE_BYTES)
		return texts_value(o, t, ret, e);
	if (!element)
		return kit_fail(e, SCONCE_BAD_INPUT, "a tensor has no type");
	if ((uintptr_t)data % element) {
		*ret_copy = malloc(t->bytes);
		if (!*ret_copy)
			return kit_no_memory(e);
		data = memcpy(*ret_copy, t->data, t->bytes);
	}
	return onnx_check(o,
			  o->api->create_tensor_over(o->memory, data, t->bytes, t->shape, t->ndim,
						     onnx_type(t->dtype), ret),
			  e);
}

int onnx_value_placed(struct onnx *o, const struct sconce_tensor *t, int device, ort_value **ret,
		      struct sconce_error *e)
{
	ort_memory *there = NULL;
	int r = onnx_check(
		o, o->api->create_memory("Cuda", ORT_DEVICE, device, ORT_DEFAULT_MEMORY, &there),
		e);

	if (r)
		return r;
	r = onnx_check(o,
		       o->api->create_tensor_over(there, t->data, t->bytes, t->shape, t->ndim,
						  onnx_type(t->dtype), ret),
		       e);
	o->api->release_memory(there);
	return r;
}

/* ---- results ---- */

struct result {
	struct onnx *engine;
	ort_value *value; /* whose memory it is; or */
	void *copy;
};

static void result_release(struct sconce_tensor *t)
{
	struct result *r = t->owner;

	if (r->value)
		r->engine->api->release_value(r->value);
	free(r->copy);
	free(r);
}

static int result_shape(struct onnx *o, ort_value *v, struct sconce_tensor *t,
			struct sconce_error *e)
{
	const struct ort_api *a = o->api;
	ort_tensor_info *info;
	size_t n = 0;
	int type = 0, r;

	r = onnx_check(o, a->tensor_info(v, &info), e);
	if (r)
		return r;
	r = onnx_check(o, a->element_type(info, &type), e);
	if (!r)
		r = onnx_check(o, a->dimensions_count(info, &n), e);
	if (!r && n > SCONCE_NDIM_MAX)
		r = kit_fail(e, -1, "an output has %zu dimensions", n);
	if (!r && n)
		r = onnx_check(o, a->dimensions(info, t->shape, n), e);
	a->release_tensor_info(info);
	t->dtype = onnx_dtype(type);
	t->ndim = (uint32_t)n;
	if (!r && !t->dtype)
		r = kit_fail(e, -1, "an output has elements of ONNX's type %d", type);
	return r;
}

/* Texts, each with its length before it. */
static int result_texts(struct onnx *o, ort_value *v, struct sconce_tensor *t, uint64_t count,
			void **ret_copy, struct sconce_error *e)
{
	size_t *offsets = calloc(count + 1, sizeof(*offsets)), length = 0;
	char *texts = NULL, *to;
	int r = onnx_check(o, o->api->strings_length(v, &length), e);

	if (!r && (!offsets || !(texts = malloc(length + 1)) ||
		   !(*ret_copy = malloc(length + count * sizeof(uint32_t) + 1))))
		r = kit_no_memory(e);
	if (!r && count)
		r = onnx_check(o, o->api->strings_content(v, texts, length, offsets, count), e);
	to = *ret_copy;
	for (uint64_t i = 0; !r && i < count; i++) {
		uint32_t n = (uint32_t)((i + 1 < count ? offsets[i + 1] : length) - offsets[i]);

		memcpy(to, &n, sizeof(n));
		memcpy(to + sizeof(n), texts + offsets[i], n);
		to += sizeof(n) + n;
	}
	t->data = *ret_copy;
	t->bytes = r ? 0 : (uint64_t)(to - (char *)*ret_copy);
	free(texts);
	free(offsets);
	return r;
}

static int result_bytes(struct onnx *o, ort_value *v, struct sconce_tensor *t, void **ret_copy,
			struct sconce_error *e)
{
	uint64_t count;

	if (count_of(t->shape, t->ndim, &count) < 0)
		return kit_fail(e, -1, "an output has an impossible shape");
	if (t->dtype == SCONCE_BYTES)
		return result_texts(o, v, t, count, ret_copy, e);
	t->bytes = count * sconce_dtype_size(t->dtype);
	return onnx_check(o, o->api->tensor_data(v, &t->data), e);
}

/* Into memory that is offered, from where it is or in place. */
static void result_offer(struct sconce_tensor *t, void *offered)
{
	if (t->data != offered && t->bytes)
		memcpy(offered, t->data, t->bytes);
	t->data = offered;
	t->release = NULL;
	t->owner = NULL;
}

/* Takes the value over, or what was made of it. */
static int result_own(struct onnx *o, ort_value *v, void *copy, struct sconce_tensor *t,
		      struct sconce_error *e)
{
	struct result *own = malloc(sizeof(*own));

	if (!own) {
		free(copy);
		o->api->release_value(v);
		return kit_no_memory(e);
	}
	*own = (struct result){ .engine = o, .value = copy ? NULL : v, .copy = copy };
	if (copy)
		o->api->release_value(v);
	t->owner = own;
	t->release = result_release;
	return 0;
}

int onnx_result(struct onnx *o, ort_value *v, struct sconce_tensor *t, struct sconce_error *e)
{
	void *offered = t->data, *copy = NULL;
	uint64_t room = offered ? t->bytes : 0;
	int r = result_shape(o, v, t, e);

	if (!r)
		r = result_bytes(o, v, t, &copy, e);
	if (!r && (!offered || t->bytes > room))
		return result_own(o, v, copy, t, e);
	if (!r)
		result_offer(t, offered);
	free(copy);
	o->api->release_value(v);
	return r;
}
