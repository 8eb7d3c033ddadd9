/* SPDX-License-Identifier: Apache-2.0 */
#include "onnx.h"

/* What a session says of its inputs and outputs. Sizes that may be any have names in most models:
 * equal names are equal sizes. */

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

/* What one of them is called, and where it goes. */
struct place {
	struct sconce_tensor_spec *spec;
	struct onnx_symbols *symbols;
	const char *side; /* "input" or "output" */
};

static int describe_symbols(struct onnx *o, const ort_tensor_info *info, struct place p,
			    struct sconce_error *e)
{
	const char *names[SCONCE_NDIM_MAX] = { NULL };
	uint32_t n = p.spec->ndim;
	int r = onnx_check(o, o->api->symbols(info, names, n), e);

	for (uint32_t i = 0; !r && i < n; i++) {
		if (p.spec->shape[i] >= 0)
			continue;
		p.spec->shape[i] = SCONCE_DIM_ANY;
		if (names[i] && *names[i] && !(p.symbols->names[i] = strdup(names[i])))
			r = kit_no_memory(e);
	}
	return r;
}

static int describe_shape(struct onnx *o, const ort_tensor_info *info, struct place p,
			  struct sconce_error *e)
{
	size_t n = 0;
	int r = onnx_check(o, o->api->dimensions_count(info, &n), e);
	/* Before 1.24 a scalar looks like what may have any shape. */
	bool known = o->api_version >= 24 ? o->api->has_shape(info) : n > 0;

	if (r)
		return r;
	if (n > SCONCE_NDIM_MAX)
		return kit_fail(e, -1,
				"the %s \"%.200s\" has %zu dimensions; at most %d are served",
				p.side, p.spec->name, n, SCONCE_NDIM_MAX);
	p.spec->ndim = known ? (uint32_t)n : SCONCE_NDIM_ANY;
	if (!n)
		return 0;
	r = onnx_check(o, o->api->dimensions(info, p.spec->shape, n), e);
	return r ? r : describe_symbols(o, info, p, e);
}

static int refuse_kind(int kind, struct place p, struct sconce_error *e)
{
	static const char *const kinds[] = { "no tensor", "a tensor", "a sequence", "a map",
					     "opaque",    "sparse",   "optional" };
	bool known = kind >= 0 && kind < (int)(sizeof(kinds) / sizeof(*kinds));

	return kit_fail(e, -1,
			"the %s \"%.200s\" is %s; only tensors are served: classifiers of "
			"scikit-learn are exported with the option zipmap=False",
			p.side, p.spec->name, kinds[known ? kind : 0]);
}

static int describe_tensor(struct onnx *o, const ort_type *type, struct place p,
			   struct sconce_error *e)
{
	const ort_tensor_info *info = NULL;
	int kind = 0, element = 0;
	int r = onnx_check(o, o->api->kind_of_type(type, &kind), e);

	if (!r && kind == ORT_KIND_TENSOR)
		r = onnx_check(o, o->api->tensor_info_of_type(type, &info), e);
	if (r)
		return r;
	if (!info)
		return refuse_kind(kind, p, e);
	r = onnx_check(o, o->api->element_type(info, &element), e);
	p.spec->dtype = onnx_dtype(element);
	if (!r && !p.spec->dtype)
		return kit_fail(e, -1,
				"the %s \"%.200s\" has elements of ONNX's type %d, which is not "
				"served: cast it in the model",
				p.side, p.spec->name, element);
	return r ? r : describe_shape(o, info, p, e);
}

static int describe_one(struct onnx_model *m, size_t i, bool output, struct sconce_error *e)
{
	struct onnx *o = m->engine;
	const struct ort_api *a = o->api;
	const ort_session *s = m->current->session;
	struct place p = { output ? &m->outputs[i] : &m->inputs[i],
			   output ? &m->output_symbols[i] : &m->input_symbols[i],
			   output ? "output" : "input" };
	struct sconce_error ignored;
	ort_type *type = NULL;
	char *name = NULL;
	int r = onnx_check(o,
			   output ? a->output_name(s, i, o->allocator, &name)
				  : a->input_name(s, i, o->allocator, &name),
			   e);

	if (r)
		return r;
	p.spec->name = strdup(name);
	onnx_check(o, a->allocator_free(o->allocator, name), &ignored);
	if (!p.spec->name)
		return kit_no_memory(e);
	r = onnx_check(o, output ? a->output_type(s, i, &type) : a->input_type(s, i, &type), e);
	if (!r)
		r = describe_tensor(o, type, p, e);
	if (type)
		a->release_type(type);
	return r;
}

static int describe_all(struct onnx_model *m, bool output, struct sconce_error *e)
{
	size_t *n = output ? &m->signature.n_outputs : &m->signature.n_inputs;
	struct sconce_tensor_spec **specs = output ? &m->outputs : &m->inputs;
	struct onnx_symbols **symbols = output ? &m->output_symbols : &m->input_symbols;
	const struct ort_api *a = m->engine->api;
	const ort_session *s = m->current->session;
	int r = onnx_check(m->engine, output ? a->output_count(s, n) : a->input_count(s, n), e);

	if (r)
		return r;
	*specs = calloc(*n + 1, sizeof(**specs));
	*symbols = calloc(*n + 1, sizeof(**symbols));
	if (!*specs || !*symbols)
		return kit_no_memory(e);
	for (size_t i = 0; i < *n && !r; i++)
		r = describe_one(m, i, output, e);
	return r;
}

/* ---- may requests be stacked? ---- */

/* The name of a first dimension that differs from `name`; NULL: there is none. */
static const char *other_name(const struct onnx_symbols *all, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(all[i].names[0] ? all[i].names[0] : "", name) != 0)
			return all[i].names[0] ? all[i].names[0] : "no name";
	return NULL;
}

/* What finds boxes on pictures has a first dimension of any size on both sides, too: only a name
 * tells whether these sizes are one. */
static bool names_agree(const struct onnx_model *m)
{
	const struct sconce_signature *s = &m->signature;
	const char *name = m->input_symbols[0].names[0], *other;

	name = name ? name : "";
	other = other_name(m->input_symbols, s->n_inputs, name);
	if (!other)
		other = other_name(m->output_symbols, s->n_outputs, name);
	if (other)
		kit_log(m->engine->host, 1,
			"first dimensions have different names (\"%.100s\" and \"%.100s\"), so "
			"requests are not stacked; `batches: true` in the section engine says that "
			"they may be",
			name, other);
	return !other;
}

static int describe_batches(struct onnx_model *m, struct sconce_error *e)
{
	int r = kit_batches(&m->settings, &m->signature, e);

	if (r < 0)
		return r;
	m->signature.batches = r == BATCHES_YES || (r == BATCHES_MAYBE && names_agree(m));
	return 0;
}

int onnx_describe(struct onnx_model *m, struct sconce_error *e)
{
	struct sconce_signature *s = &m->signature;
	int r;

	s->size = sizeof(*s);
	r = describe_all(m, false, e);
	if (!r)
		r = describe_all(m, true, e);
	if (r)
		return r;
	s->inputs = m->inputs;
	s->outputs = m->outputs;
	return describe_batches(m, e);
}

static void forget(struct sconce_tensor_spec *all, struct onnx_symbols *symbols, size_t n)
{
	for (size_t i = 0; all && i < n; i++)
		free((char *)(uintptr_t)all[i].name);
	for (size_t i = 0; symbols && i < n; i++)
		for (size_t k = 0; k < SCONCE_NDIM_MAX; k++)
			free(symbols[i].names[k]);
	free(all);
	free(symbols);
}

void onnx_forget(struct onnx_model *m)
{
	forget(m->inputs, m->input_symbols, m->signature.n_inputs);
	forget(m->outputs, m->output_symbols, m->signature.n_outputs);
}
