/* SPDX-License-Identifier: Apache-2.0 */
#include "onnx.h"

/* What a session says of its inputs and outputs. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint32_t dtypes[ORT_TYPES] = {
	[ORT_FLOAT] = SCONCE_FP32,    [ORT_UINT8] = SCONCE_UINT8,   [ORT_INT8] = SCONCE_INT8,
	[ORT_UINT16] = SCONCE_UINT16, [ORT_INT16] = SCONCE_INT16,   [ORT_INT32] = SCONCE_INT32,
	[ORT_INT64] = SCONCE_INT64,   [ORT_STRING] = SCONCE_BYTES,  [ORT_BOOL] = SCONCE_BOOL,
	[ORT_FLOAT16] = SCONCE_FP16,  [ORT_DOUBLE] = SCONCE_FP64,   [ORT_UINT32] = SCONCE_UINT32,
	[ORT_UINT64] = SCONCE_UINT64, [ORT_BFLOAT16] = SCONCE_BF16,
};

uint32_t onnx_dtype(int type)
{
	return type > 0 && type < ORT_TYPES ? dtypes[type] : SCONCE_DTYPE_ANY;
}

int onnx_type(uint32_t dtype)
{
	for (int i = 1; i < ORT_TYPES; i++)
		if (dtypes[i] == dtype)
			return i;
	return 0;
}

static int describe_tensor(struct onnx *o, const ort_type *type, struct sconce_tensor_spec *s,
			   struct sconce_error *e)
{
	const ort_tensor_info *info = NULL;
	size_t n = 0;
	int element = 0;

	if (onnx_check(o, o->api->tensor_info_of_type(type, &info), e) < 0)
		return -1;
	if (!info) {
		snprintf(e->text, sizeof(e->text),
			 "\"%.200s\" is a sequence or a map; only tensors are served: a classifier "
			 "of scikit-learn needs the option zipmap=False",
			 s->name);
		return -1;
	}
	if (onnx_check(o, o->api->element_type(info, &element), e) < 0 ||
	    onnx_check(o, o->api->dimensions_count(info, &n), e) < 0)
		return -1;
	s->dtype = onnx_dtype(element);
	if (!s->dtype || n > SCONCE_NDIM_MAX) {
		snprintf(e->text, sizeof(e->text),
			 "\"%.200s\" has elements of a type that is not served, or too many "
			 "dimensions",
			 s->name);
		return -1;
	}
	s->ndim = (uint32_t)n;
	/* Symbolic sizes are -1. */
	return onnx_check(o, o->api->dimensions(info, s->shape, n), e);
}

static int describe_one(struct onnx_model *m, size_t i, int output, struct sconce_tensor_spec *s,
			struct sconce_error *e)
{
	struct onnx *o = m->engine;
	const struct ort_api *a = o->api;
	ort_type *type = NULL;
	char *name = NULL;
	int r;

	if (onnx_check(o,
		       output ? a->output_name(m->session, i, o->allocator, &name)
			      : a->input_name(m->session, i, o->allocator, &name),
		       e) < 0)
		return -1;
	s->name = strdup(name);
	onnx_check(o, a->allocator_free(o->allocator, name), e);
	if (!s->name || onnx_check(o,
				   output ? a->output_type(m->session, i, &type)
					  : a->input_type(m->session, i, &type),
				   e) < 0)
		return -1;
	r = describe_tensor(o, type, s, e);
	a->release_type(type);
	return r;
}

static int describe_all(struct onnx_model *m, int output, struct sconce_tensor_spec **ret,
			size_t *ret_n, struct sconce_error *e)
{
	const struct ort_api *a = m->engine->api;

	if (onnx_check(m->engine,
		       output ? a->output_count(m->session, ret_n)
			      : a->input_count(m->session, ret_n),
		       e) < 0)
		return -1;
	*ret = calloc(*ret_n + 1, sizeof(**ret));
	if (!*ret) {
		snprintf(e->text, sizeof(e->text), "out of memory");
		return -1;
	}
	for (size_t i = 0; i < *ret_n; i++)
		if (describe_one(m, i, output, &(*ret)[i], e) < 0)
			return -1;
	return 0;
}

static int all_dynamic(const struct sconce_tensor_spec *all, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!all[i].ndim || all[i].shape[0] != SCONCE_DIM_ANY)
			return 0;
	return n > 0;
}

int onnx_describe(struct onnx_model *m, struct sconce_error *e)
{
	struct sconce_signature *s = &m->signature;

	s->size = sizeof(*s);
	if (describe_all(m, 0, &m->inputs, &s->n_inputs, e) < 0 ||
	    describe_all(m, 1, &m->outputs, &s->n_outputs, e) < 0)
		return -1;
	s->inputs = m->inputs;
	s->outputs = m->outputs;
	s->batches = all_dynamic(m->inputs, s->n_inputs) && all_dynamic(m->outputs, s->n_outputs);
	return 0;
}

static void forget(struct sconce_tensor_spec *all)
{
	for (size_t i = 0; all && all[i].name; i++)
		free((char *)(uintptr_t)all[i].name);
	free(all);
}

void onnx_forget(struct onnx_model *m)
{
	forget(m->inputs);
	forget(m->outputs);
}
