/* SPDX-License-Identifier: Apache-2.0 */
#include "openvino.h"

/* The engine's table, and the life of engine and model. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the engine ---- */

static void openvino_close(void *engine)
{
	struct openvino *o = engine;

	if (o->core)
		o->api.core_free(o->core);
	/* The library stays: it has threads and handlers of its own. */
	free(o);
}

static int openvino_open(const struct sconce_host *host, void **ret, struct sconce_error *e)
{
	struct openvino *o = calloc(1, sizeof(*o));
	int r;

	if (!o)
		return kit_no_memory(e);
	o->host = host;
	r = openvino_find(o, e);
	if (!r)
		r = openvino_check(o, o->api.core_create(&o->core), e);
	if (!r)
		r = openvino_learn_types(o, e);
	if (!r)
		r = openvino_probe(o, e);
	if (r)
		openvino_close(o);
	else
		*ret = o;
	return r;
}

const char *openvino_features(struct openvino *o)
{
	char *text = NULL;

	if (!*o->features && o->api.core_get_property(o->core, OPENVINO_DEVICE,
						      "OPTIMIZATION_CAPABILITIES", &text) == 0) {
		snprintf(o->features, sizeof(o->features), "%s", text);
		o->api.free(text);
	}
	return o->features;
}

static void openvino_info(void *engine, struct sconce_engine_info *ret)
{
	struct openvino *o = engine;

	ret->runtime = "OpenVINO";
	ret->version = o->version;
	ret->path = o->path;
	ret->devices = "cpu";
	ret->features = openvino_features(o);
}

/* ---- models ---- */

static void openvino_unload(void *model)
{
	struct openvino_model *m = model;

	kit_tuner_end(&m->tuner);
	openvino_put(m, m->wide);
	openvino_put(m, m->current);
	openvino_forget(m);
	settings_finish(&m->settings);
	pthread_mutex_destroy(&m->tuning);
	pthread_mutex_destroy(&m->lock);
	free(m->path);
	free(m);
}

static int load_into(struct openvino_model *m, const struct sconce_model_options *wanted,
		     struct sconce_error *e)
{
	uint64_t before = kit_own_bytes(), after;
	ov_model *read = NULL;
	int r = settings_read(&m->settings, wanted->config, e);

	m->path = strdup(wanted->path);
	if (!r && !m->path)
		r = kit_no_memory(e);
	if (r)
		return r;
	settings_warn(&m->settings, OPENVINO_SETTINGS, m->engine->host);
	if (strncmp(wanted->device, "cpu", 3) != 0)
		kit_log(m->engine->host, 2,
			"OpenVINO does not run on %.100s: it uses the processor", wanted->device);
	m->each = wanted->threads;
	r = kit_alone_init(&m->alone, &m->settings, openvino_has_threads(m), e);
	if (!r)
		r = kit_file_read(&m->file, m->path, e);
	if (!r)
		r = openvino_configure(m, e);
	if (!r)
		r = openvino_compile(m, wanted->instances, wanted->threads, &m->current, &read, e);
	after = kit_own_bytes();
	m->loaded_bytes = after > before ? after - before : 0;
	if (!r)
		r = openvino_describe(m, read, SCONCE_HAS(wanted, batch) ? wanted->batch : 0, e);
	if (read)
		m->engine->api.model_free(read);
	return r;
}

static int openvino_load(void *engine, const struct sconce_model_options *wanted, void **ret,
			 struct sconce_error *e)
{
	struct openvino_model *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return kit_no_memory(e);
	m->engine = engine;
	pthread_mutex_init(&m->tuning, NULL);
	pthread_mutex_init(&m->lock, NULL);
	m->tuner = (struct kit_tuner){ .lock = &m->lock, .step = openvino_widen, .arg = m };
	r = load_into(m, wanted, e);
	if (r)
		openvino_unload(m);
	else
		*ret = m;
	return r;
}

static const struct sconce_signature *openvino_signature(void *model)
{
	return &((struct openvino_model *)model)->signature;
}

static void openvino_set_threads(void *model, uint32_t threads)
{
	struct openvino_model *m = model;

	pthread_mutex_lock(&m->lock);
	m->each = threads ? threads : 1;
	openvino_fit(m);
	pthread_mutex_unlock(&m->lock);
	openvino_tune(m);
}

static uint64_t openvino_memory(void *model)
{
	return ((struct openvino_model *)model)->loaded_bytes;
}

SCONCE_EXPORT extern const struct sconce_engine sconce_engine;
const struct sconce_engine sconce_engine = {
	.size = sizeof(sconce_engine),
	.abi = SCONCE_ENGINE_ABI,
	.name = "openvino",
	.version = "1",
	.suffixes = ".xml .tflite /saved_model.pb .pdmodel .onnx",
	.open = openvino_open,
	.close = openvino_close,
	.info = openvino_info,
	.load = openvino_load,
	.unload = openvino_unload,
	.signature = openvino_signature,
	.instance_create = openvino_instance_create,
	.instance_destroy = openvino_instance_destroy,
	.run = openvino_run,
	.cancel = openvino_cancel,
	.set_threads = openvino_set_threads,
	.memory = openvino_memory,
};
