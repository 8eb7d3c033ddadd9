/* SPDX-License-Identifier: Apache-2.0 */
#include "onnx.h"

/*
 * Instances and their runs. Inputs are the host's memory, without a copy; outputs, too, where their
 * sizes are known before, which is so when they are fixed or have the name of an input's size.
 */

#include <stdlib.h>
#include <string.h>

/* ---- instances ---- */

void onnx_instance_destroy(void *instance)
{
	struct onnx_instance *i = instance;

	if (i->options)
		i->model->engine->api->release_run_options(i->options);
	onnx_count(i->model, -1);
	pthread_mutex_destroy(&i->lock);
	free(i->input_names);
	free(i->output_names);
	free(i->inputs);
	free(i->outputs);
	free(i->aligned);
	free(i);
}

static int instance_fill(struct onnx_instance *i, struct sconce_error *e)
{
	const struct ort_api *a = i->model->engine->api;
	const struct sconce_signature *s = &i->model->signature;
	size_t in = s->n_inputs + 1, out = s->n_outputs + 1;
	int r;

	i->input_names = calloc(in, sizeof(*i->input_names));
	i->output_names = calloc(out, sizeof(*i->output_names));
	i->inputs = calloc(in, sizeof(ort_value *));
	i->outputs = calloc(out, sizeof(ort_value *));
	i->aligned = calloc(in, sizeof(void *));
	if (!i->input_names || !i->output_names || !i->inputs || !i->outputs || !i->aligned)
		return kit_no_memory(e);
	for (size_t k = 0; k < s->n_inputs; k++)
		i->input_names[k] = s->inputs[k].name;
	for (size_t k = 0; k < s->n_outputs; k++)
		i->output_names[k] = s->outputs[k].name;
	r = onnx_check(i->model->engine, a->create_run_options(&i->options), e);
	/* What fails is an answer, and need not be in a log as well. */
	return r ? r : onnx_check(i->model->engine, a->set_run_log_level(i->options, ORT_FATAL), e);
}

int onnx_instance_create(void *model, uint32_t index, void **ret, struct sconce_error *e)
{
	struct onnx_instance *i = calloc(1, sizeof(*i));
	struct onnx_model *m = model;
	int r;

	(void)index;
	if (!i)
		return kit_no_memory(e);
	i->model = m;
	pthread_mutex_init(&i->lock, NULL);
	onnx_count(m, 1);
	r = instance_fill(i, e);
	if (r)
		onnx_instance_destroy(i);
	else
		*ret = i;
	return r ? -1 : 0;
}

/* ---- outputs in place ---- */

/* The size that is called so among the inputs; -1: there is none. */
static int64_t size_named(const struct onnx_model *m, const char *name,
			  const struct sconce_tensor *inputs, size_t n)
{
	for (size_t k = 0; name && k < n; k++)
		for (uint32_t d = 0; d < inputs[k].ndim && m->inputs[k].ndim == inputs[k].ndim; d++)
			if (m->input_symbols[k].names[d] &&
			    strcmp(m->input_symbols[k].names[d], name) == 0)
				return inputs[k].shape[d];
	return -1;
}

/* Shape and bytes of output `o`, if they are known before the run. */
static bool foresee(const struct onnx_model *m, size_t o, const struct sconce_tensor *inputs,
		    size_t n, int64_t *shape, uint64_t *bytes)
{
	const struct sconce_tensor_spec *s = &m->outputs[o];
	bool lie = __atomic_load_n(&m->symbols_lie, __ATOMIC_RELAXED);

	*bytes = sconce_dtype_size(s->dtype);
	if (!*bytes || s->ndim == SCONCE_NDIM_ANY)
		return false;
	for (uint32_t d = 0; d < s->ndim; d++) {
		shape[d] = s->shape[d];
		if (shape[d] == SCONCE_DIM_ANY && !lie)
			shape[d] = size_named(m, m->output_symbols[o].names[d], inputs, n);
		if (shape[d] < 0 || __builtin_mul_overflow(*bytes, (uint64_t)shape[d], bytes))
			return false;
	}
	return true;
}

/* *ret: whether a name has foretold a size. */
static int place_outputs(struct onnx_instance *i, const struct sconce_tensor *inputs, size_t n,
			 const struct sconce_tensor *outputs, size_t n_outputs, bool *ret,
			 struct sconce_error *e)
{
	struct onnx_model *m = i->model;
	int64_t shape[SCONCE_NDIM_MAX];
	uint64_t bytes;
	int r = 0;

	*ret = false;
	for (size_t o = 0; o < n_outputs && !r; o++) {
		const struct sconce_tensor *t = &outputs[o];

		if (!t->data || !foresee(m, o, inputs, n, shape, &bytes) || bytes > t->bytes)
			continue;
		*ret = *ret ||
		       memcmp(shape, m->outputs[o].shape, m->outputs[o].ndim * sizeof(*shape)) != 0;
		r = onnx_check(m->engine,
			       m->engine->api->create_tensor_over(
				       m->engine->memory, t->data, bytes, shape, m->outputs[o].ndim,
				       onnx_type(m->outputs[o].dtype), &i->outputs[o]),
			       e);
	}
	return r;
}

/* ---- a run ---- */

static void drop_values(const struct ort_api *a, ort_value **values, size_t n)
{
	for (size_t k = 0; k < n; k++) {
		if (values[k])
			a->release_value(values[k]);
		values[k] = NULL;
	}
}

static void drop_inputs(struct onnx_instance *i, size_t n)
{
	drop_values(i->model->engine->api, i->inputs, n);
	for (size_t k = 0; k < n; k++) {
		free(i->aligned[k]);
		i->aligned[k] = NULL;
	}
}

static int take_results(struct onnx_instance *i, struct sconce_tensor *outputs, size_t n,
			struct sconce_error *e)
{
	int r = 0;
	size_t k;

	for (k = 0; k < n && !r; k++) {
		ort_value *v = i->outputs[k];

		i->outputs[k] = NULL;
		r = onnx_result(i->model->engine, v, &outputs[k], e);
	}
	/* On failure nothing is the host's. */
	for (size_t d = 0; r && d + 1 < k; d++)
		if (outputs[d].release)
			outputs[d].release(&outputs[d]);
	return r;
}

static int run_session(struct onnx_instance *i, size_t n_inputs, size_t n_outputs,
		       struct sconce_error *e)
{
	const struct onnx *o = i->model->engine;
	struct kit_run run;
	struct onnx_session *s = onnx_run_begin(i->model, &run);
	int r = onnx_check(o,
			   o->api->run(s->session, i->options, i->input_names,
				       (const ort_value *const *)i->inputs, n_inputs,
				       i->output_names, n_outputs, i->outputs),
			   e);

	onnx_run_end(i->model, s, &run, r == 0);
	return r;
}

/* Names of sizes are claims. When a run fails that has believed one, it is run again without. */
static int run_placed(struct onnx_instance *i, const struct sconce_tensor *inputs, size_t n_inputs,
		      struct sconce_tensor *outputs, size_t n_outputs, struct sconce_error *e)
{
	struct onnx_model *m = i->model;
	bool foretold;
	int r = place_outputs(i, inputs, n_inputs, outputs, n_outputs, &foretold, e);

	if (!r)
		r = run_session(i, n_inputs, n_outputs, e);
	if (!r || !foretold)
		return r;
	drop_values(m->engine->api, i->outputs, n_outputs);
	r = run_session(i, n_inputs, n_outputs, e);
	if (!r)
		__atomic_store_n(&m->symbols_lie, true, __ATOMIC_RELAXED);
	return r;
}

/* `places` NULL: all are the host's. */
static int make_inputs(struct onnx_instance *i, const struct sconce_tensor *inputs,
		       const struct sconce_place *places, size_t n, struct sconce_error *e)
{
	struct onnx *o = i->model->engine;
	int r = 0;

	for (size_t k = 0; k < n && !r; k++)
		r = places && places[k].memory == SCONCE_MEMORY_CUDA
			    ? onnx_value_placed(o, &inputs[k], places[k].device, &i->inputs[k], e)
			    : onnx_value(o, &inputs[k], &i->inputs[k], &i->aligned[k], e);
	return r;
}

int onnx_run(void *instance, const struct sconce_tensor *inputs, size_t n_inputs,
	     struct sconce_tensor *outputs, size_t n_outputs, struct sconce_error *e)
{
	return onnx_run_placed(instance, inputs, NULL, n_inputs, outputs, n_outputs, e);
}

int onnx_takes(void *model, const struct sconce_place *place)
{
	return place->memory == SCONCE_MEMORY_CUDA && onnx_gpu(model) == place->device;
}

int onnx_run_placed(void *instance, const struct sconce_tensor *inputs,
		    const struct sconce_place *places, size_t n_inputs,
		    struct sconce_tensor *outputs, size_t n_outputs, struct sconce_error *e)
{
	struct onnx_instance *i = instance;
	const struct sconce_signature *s = &i->model->signature;
	const struct ort_api *a = i->model->engine->api;
	int r = 0;

	if (n_inputs > s->n_inputs || n_outputs != s->n_outputs)
		return kit_fail(e, SCONCE_BAD_INPUT, "the model has %zu inputs and %zu outputs",
				s->n_inputs, s->n_outputs);
	pthread_mutex_lock(&i->lock);
	r = onnx_check(i->model->engine, a->unterminate(i->options), e);
	pthread_mutex_unlock(&i->lock);
	if (!r)
		r = make_inputs(i, inputs, places, n_inputs, e);
	if (!r)
		r = run_placed(i, inputs, n_inputs, outputs, n_outputs, e);
	drop_inputs(i, n_inputs);
	if (!r)
		r = take_results(i, outputs, n_outputs, e);
	drop_values(a, i->outputs, n_outputs);
	return r;
}

void onnx_cancel(void *instance)
{
	struct onnx_instance *i = instance;
	struct sconce_error ignored;

	pthread_mutex_lock(&i->lock);
	onnx_check(i->model->engine, i->model->engine->api->terminate(i->options), &ignored);
	pthread_mutex_unlock(&i->lock);
}
