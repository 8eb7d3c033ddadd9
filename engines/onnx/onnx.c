/* SPDX-License-Identifier: Apache-2.0 */
#include "onnx.h"

/*
 * The engine's table. One session for a model: its run() may be called from many threads, so
 * instances share weights and, where a run may use several threads, the session's pool.
 */

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int onnx_check(const struct onnx *o, ort_status *status, struct sconce_error *e)
{
	if (!status)
		return 0;
	snprintf(e->text, sizeof(e->text), "%s", o->api->get_error_message(status));
	e->text[strcspn(e->text, "\n")] = '\0';
	o->api->release_status(status);
	return -1;
}

static void onnx_close(void *engine)
{
	struct onnx *o = engine;

	if (o->memory)
		o->api->release_memory(o->memory);
	if (o->env)
		o->api->release_env(o->env);
	/* The library stays: it has threads and handlers of its own. */
	free(o);
}

static int onnx_open(const struct sconce_host *host, void **ret, struct sconce_error *e)
{
	struct onnx *o = calloc(1, sizeof(*o));

	if (!o)
		return -1;
	o->host = host;
	if (onnx_find(o, e) < 0) {
		free(o);
		return -1;
	}
	if (onnx_check(o, o->api->create_env(ORT_WARNING, "sconce", &o->env), e) < 0 ||
	    onnx_check(o, o->api->default_allocator(&o->allocator), e) < 0 ||
	    onnx_check(o, o->api->cpu_memory(ORT_ARENA, ORT_DEFAULT_MEMORY, &o->memory), e) < 0) {
		onnx_close(o);
		return -1;
	}
	*ret = o;
	return 0;
}

static void *onnx_cuda(const struct onnx *o)
{
	return dlsym(o->library, "OrtSessionOptionsAppendExecutionProvider_CUDA");
}

static void onnx_info(void *engine, struct sconce_engine_info *ret)
{
	struct onnx *o = engine;

	ret->runtime = "ONNX Runtime";
	ret->version = o->version;
	ret->path = o->path;
	ret->devices = onnx_cuda(o) ? "cpu cuda" : "cpu";
}

/* ---- models ---- */

static int use_cuda(struct onnx *o, ort_session_options *options, const char *device,
		    struct sconce_error *e)
{
	ort_status *(*append)(ort_session_options *, int);

	*(void **)&append = onnx_cuda(o);
	if (!append) {
		snprintf(e->text, sizeof(e->text),
			 "this ONNX Runtime (%.400s) is for the CPU only: %s -m pip install "
			 "onnxruntime-gpu",
			 o->path, o->host->python ? o->host->python : "python3");
		return -1;
	}
	return onnx_check(o, append(options, (int)strtol(device + strlen("cuda:"), NULL, 10)), e);
}

static int configure(struct onnx *o, ort_session_options *options,
		     const struct sconce_model_options *wanted, struct sconce_error *e)
{
	const struct ort_api *a = o->api;

	if (onnx_check(o, a->set_graph_optimization(options, ORT_OPTIMIZE_ALL), e) < 0 ||
	    onnx_check(o, a->set_intra_threads(options, (int)wanted->threads), e) < 0 ||
	    onnx_check(o, a->set_inter_threads(options, 1), e) < 0 ||
	    /* Threads that spin take the processors of others. */
	    onnx_check(o, a->add_config(options, "session.intra_op.allow_spinning", "0"), e) < 0)
		return -1;
	return strncmp(wanted->device, "cuda:", strlen("cuda:")) == 0
		       ? use_cuda(o, options, wanted->device, e)
		       : 0;
}

static void onnx_unload(void *model)
{
	struct onnx_model *m = model;

	if (m->session)
		m->engine->api->release_session(m->session);
	onnx_forget(m);
	free(m);
}

static int onnx_load(void *engine, const struct sconce_model_options *wanted, void **ret,
		     struct sconce_error *e)
{
	struct onnx_model *m = calloc(1, sizeof(*m));
	struct onnx *o = engine;
	ort_session_options *options = NULL;
	int r;

	if (!m)
		return -1;
	m->engine = o;
	r = onnx_check(o, o->api->create_session_options(&options), e);
	if (!r)
		r = configure(o, options, wanted, e);
	if (!r)
		r = onnx_check(
			o, o->api->create_session(o->env, wanted->path, options, &m->session), e);
	if (options)
		o->api->release_session_options(options);
	if (!r)
		r = onnx_describe(m, e);
	if (r < 0)
		onnx_unload(m);
	else
		*ret = m;
	return r;
}

static const struct sconce_signature *onnx_signature(void *model)
{
	return &((struct onnx_model *)model)->signature;
}

/* ---- instances ---- */

static void onnx_instance_destroy(void *instance)
{
	struct onnx_instance *i = instance;

	if (i->options)
		i->model->engine->api->release_run_options(i->options);
	pthread_mutex_destroy(&i->lock);
	free(i->input_names);
	free(i->output_names);
	free(i->inputs);
	free(i->outputs);
	free(i);
}

static int onnx_instance_create(void *model, uint32_t index, void **ret, struct sconce_error *e)
{
	struct onnx_instance *i = calloc(1, sizeof(*i));
	struct onnx_model *m = model;
	size_t in = m->signature.n_inputs + 1, out = m->signature.n_outputs + 1;

	(void)index;
	if (!i)
		return -1;
	i->model = m;
	pthread_mutex_init(&i->lock, NULL);
	i->input_names = calloc(in, sizeof(*i->input_names));
	i->output_names = calloc(out, sizeof(*i->output_names));
	i->inputs = calloc(in, sizeof(ort_value *));
	i->outputs = calloc(out, sizeof(ort_value *));
	if (!i->input_names || !i->output_names || !i->inputs || !i->outputs ||
	    onnx_check(m->engine, m->engine->api->create_run_options(&i->options), e) < 0) {
		onnx_instance_destroy(i);
		return -1;
	}
	for (size_t k = 0; k + 1 < in; k++)
		i->input_names[k] = m->inputs[k].name;
	for (size_t k = 0; k + 1 < out; k++)
		i->output_names[k] = m->outputs[k].name;
	*ret = i;
	return 0;
}

static void drop_values(const struct ort_api *a, ort_value **values, size_t n)
{
	for (size_t k = 0; k < n; k++) {
		if (values[k])
			a->release_value(values[k]);
		values[k] = NULL;
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

static int onnx_run(void *instance, const struct sconce_tensor *inputs, size_t n_inputs,
		    struct sconce_tensor *outputs, size_t n_outputs, struct sconce_error *e)
{
	struct onnx_instance *i = instance;
	struct onnx *o = i->model->engine;
	const struct ort_api *a = o->api;
	int r = 0;

	for (size_t k = 0; k < n_inputs && !r; k++)
		r = onnx_value(o, &inputs[k], &i->inputs[k], e);
	pthread_mutex_lock(&i->lock);
	if (!r)
		r = onnx_check(o, a->unterminate(i->options), e);
	pthread_mutex_unlock(&i->lock);
	if (!r)
		r = onnx_check(o,
			       a->run(i->model->session, i->options, i->input_names,
				      (const ort_value *const *)i->inputs, n_inputs,
				      i->output_names, n_outputs, i->outputs),
			       e);
	drop_values(a, i->inputs, n_inputs);
	if (!r)
		r = take_results(i, outputs, n_outputs, e);
	drop_values(a, i->outputs, n_outputs);
	return r;
}

static void onnx_cancel(void *instance)
{
	struct onnx_instance *i = instance;
	struct sconce_error ignored;

	pthread_mutex_lock(&i->lock);
	onnx_check(i->model->engine, i->model->engine->api->terminate(i->options), &ignored);
	pthread_mutex_unlock(&i->lock);
}

SCONCE_EXPORT extern const struct sconce_engine sconce_engine;
const struct sconce_engine sconce_engine = {
	.size = sizeof(sconce_engine),
	.abi = SCONCE_ENGINE_ABI,
	.name = "onnx",
	.version = "1",
	.suffixes = ".onnx",
	.open = onnx_open,
	.close = onnx_close,
	.info = onnx_info,
	.load = onnx_load,
	.unload = onnx_unload,
	.signature = onnx_signature,
	.instance_create = onnx_instance_create,
	.instance_destroy = onnx_instance_destroy,
	.run = onnx_run,
	.cancel = onnx_cancel,
};
