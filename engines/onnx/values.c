/* SPDX-License-Identifier: Apache-2.0 */
#include "onnx.h"

/* Tensors and ONNX Runtime's values. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int no_memory(struct sconce_error *e)
{
	snprintf(e->text, sizeof(e->text), "out of memory");
	return -1;
}

static uint64_t count_of(const int64_t *shape, size_t n)
{
	uint64_t count = 1;

	while (n)
		count *= (uint64_t)shape[--n];
	return count;
}

/* Texts have a length before them; the runtime wants them with a zero behind. */
static int fill_strings(struct onnx *o, const struct sconce_tensor *t, ort_value *v,
			struct sconce_error *e)
{
	uint64_t count = count_of(t->shape, t->ndim);
	const char **texts = calloc(count + 1, sizeof(*texts));
	char *copy = malloc(t->bytes + 1), *to = copy;
	const char *from = t->data;
	int r = -1;

	for (uint64_t i = 0; texts && copy && i < count; i++) {
		uint32_t n;

		memcpy(&n, from, sizeof(n));
		from += sizeof(n);
		texts[i] = to;
		memcpy(to, from, n);
		to[n] = '\0';
		from += n;
		to += n + 1;
	}
	if (!texts || !copy)
		no_memory(e);
	else
		r = onnx_check(o, o->api->fill_strings(v, texts, count), e);
	free(texts);
	free(copy);
	return r;
}

int onnx_value(struct onnx *o, const struct sconce_tensor *t, ort_value **ret,
	       struct sconce_error *e)
{
	int type = onnx_type(t->dtype);

	if (t->dtype != SCONCE_BYTES)
		return onnx_check(o,
				  o->api->create_tensor_over(o->memory, t->data, t->bytes, t->shape,
							     t->ndim, type, ret),
				  e);
	if (onnx_check(o, o->api->create_tensor(o->allocator, t->shape, t->ndim, type, ret), e) < 0)
		return -1;
	return fill_strings(o, t, *ret, e);
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

	if (onnx_check(o, a->tensor_info(v, &info), e) < 0)
		return -1;
	r = onnx_check(o, a->element_type(info, &type), e);
	if (!r)
		r = onnx_check(o, a->dimensions_count(info, &n), e);
	if (!r && n > SCONCE_NDIM_MAX) {
		snprintf(e->text, sizeof(e->text), "an output has %zu dimensions", n);
		r = -1;
	}
	if (!r)
		r = onnx_check(o, a->dimensions(info, t->shape, n), e);
	a->release_tensor_info(info);
	t->dtype = onnx_dtype(type);
	t->ndim = (uint32_t)n;
	return r;
}

/* Texts, each with its length before it. */
static int result_strings(struct onnx *o, ort_value *v, struct sconce_tensor *t, void **ret_copy,
			  struct sconce_error *e)
{
	uint64_t count = count_of(t->shape, t->ndim);
	size_t *offsets = calloc(count + 1, sizeof(*offsets)), length = 0;
	char *texts = NULL, *to;
	int r = onnx_check(o, o->api->strings_length(v, &length), e);

	if (!r && (!offsets || !(texts = malloc(length + 1)) ||
		   !(*ret_copy = malloc(length + count * sizeof(uint32_t) + 1))))
		r = no_memory(e);
	if (!r)
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

int onnx_result(struct onnx *o, ort_value *v, struct sconce_tensor *t, struct sconce_error *e)
{
	struct result *own = calloc(1, sizeof(*own));
	void *offered = t->data, *data = NULL;
	uint64_t room = offered ? t->bytes : 0;
	int r = own ? result_shape(o, v, t, e) : no_memory(e);

	if (!r && t->dtype == SCONCE_BYTES) {
		r = result_strings(o, v, t, &own->copy, e);
	} else if (!r) {
		r = onnx_check(o, o->api->tensor_data(v, &data), e);
		t->bytes = count_of(t->shape, t->ndim) * sconce_dtype_size(t->dtype);
		t->data = data;
	}
	if (!r && offered && t->dtype != SCONCE_BYTES && t->bytes <= room) {
		memcpy(offered, data, t->bytes);
		t->data = offered;
		t->release = NULL;
	} else if (!r) {
		*own = (struct result){ o, own->copy ? NULL : v, own->copy };
		t->owner = own;
		t->release = result_release;
		if (own->value)
			return 0;
		own = NULL;
	} else if (own) {
		free(own->copy);
	}
	free(own);
	o->api->release_value(v);
	return r;
}
