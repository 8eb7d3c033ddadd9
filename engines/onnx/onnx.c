/* SPDX-License-Identifier: Apache-2.0 */
#include "onnx.h"

/*
 * The engine's table, and the life of engine and model. One session for a model: its run() may be
 * called from many threads, so instances share weights and, where a run may use several threads,
 * the session's pool.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the engine ---- */

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

/* The host's levels are the runtime's; fatal is an error, too. */
static void onnx_log(void *arg, int level, const char *category, const char *id, const char *place,
		     const char *message)
{
	(void)category, (void)id, (void)place;
	kit_log(arg, level > 3 ? 3 : level, "ONNX Runtime: %s", message);
}

/* "CPUExecutionProvider" is "CPU" for people. */
static int onnx_list_providers(struct onnx *o, struct sconce_error *e)
{
	static const char suffix[] = "ExecutionProvider";
	char **names = NULL;
	int n = 0, r = onnx_check(o, o->api->providers(&names, &n), e);
	size_t at = 0;

	snprintf(o->devices, sizeof(o->devices), "cpu");
	for (int i = 0; !r && i < n; i++) {
		char *end = strstr(names[i], suffix);
		int length = (int)(end ? (size_t)(end - names[i]) : strlen(names[i]));

		if (at + (size_t)length + 2 < sizeof(o->providers))
			at += (size_t)snprintf(o->providers + at, sizeof(o->providers) - at,
					       "%s%.*s", at ? " " : "", length, names[i]);
		if (length == 4 && strncmp(names[i], "CUDA", 4) == 0)
			snprintf(o->devices, sizeof(o->devices), "cpu cuda");
	}
	if (names)
		r = onnx_check(o, o->api->release_providers(names, n), e);
	return r;
}

static int onnx_open(const struct sconce_host *host, void **ret, struct sconce_error *e)
{
	struct onnx *o = calloc(1, sizeof(*o));
	int r;

	if (!o)
		return kit_no_memory(e);
	o->host = host;
	r = onnx_find(o, e);
	if (r < 0) {
		free(o);
		return -1;
	}
	r = onnx_check(o,
		       o->api->create_env_logged(onnx_log, (void *)(uintptr_t)host, ORT_WARNING,
						 "sconce", &o->env),
		       e);
	if (!r)
		r = onnx_check(o, o->api->default_allocator(&o->allocator), e);
	if (!r)
		r = onnx_check(o, o->api->cpu_memory(ORT_ARENA, ORT_DEFAULT_MEMORY, &o->memory), e);
	if (!r)
		r = onnx_list_providers(o, e);
	if (r)
		onnx_close(o);
	else
		*ret = o;
	return r;
}

static void onnx_info(void *engine, struct sconce_engine_info *ret)
{
	struct onnx *o = engine;

	ret->runtime = "ONNX Runtime";
	ret->version = o->version;
	ret->path = o->path;
	ret->devices = o->devices;
	ret->features = o->providers;
}

/* ---- models ---- */

static void onnx_unload(void *model)
{
	struct onnx_model *m = model;

	kit_tuner_end(&m->tuner);
	if (m->wide)
		onnx_session_put(m, m->wide);
	if (m->current)
		onnx_session_put(m, m->current);
	onnx_forget(m);
	settings_finish(&m->settings);
	pthread_mutex_destroy(&m->lock);
	free(m->path);
	free(m->device);
	free(m);
}

static int onnx_load_into(struct onnx_model *m, const struct sconce_model_options *wanted,
			  struct sconce_error *e)
{
	uint64_t before = kit_own_bytes(), after;
	int r = settings_read(&m->settings, wanted->config, e);

	m->path = strdup(wanted->path);
	m->device = strdup(wanted->device);
	if (!r && (!m->path || !m->device))
		r = kit_no_memory(e);
	if (r)
		return r;
	settings_warn(&m->settings, ONNX_SETTINGS, m->engine->host);
	r = kit_file_read(&m->file, m->path, e);
	if (r)
		return r;
	r = kit_alone_init(&m->alone, &m->settings,
			   onnx_gpu(m) >= 0 || yyjson_obj_get(m->settings.root, "providers"), e);
	m->alone.computes = true;
	m->wanted = onnx_pool(wanted->instances, wanted->threads);
	if (!r)
		r = onnx_session_open(m, m->wanted, false, &m->current, e);
	after = kit_own_bytes();
	m->loaded_bytes = after > before ? after - before : 0;
	return r ? r : onnx_describe(m, e);
}

static int onnx_load(void *engine, const struct sconce_model_options *wanted, void **ret,
		     struct sconce_error *e)
{
	struct onnx_model *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return kit_no_memory(e);
	m->engine = engine;
	pthread_mutex_init(&m->lock, NULL);
	m->tuner = (struct kit_tuner){ .lock = &m->lock, .step = onnx_tune_step, .arg = m };
	r = onnx_load_into(m, wanted, e);
	if (r)
		onnx_unload(m);
	else
		*ret = m;
	return r ? -1 : 0;
}

static const struct sconce_signature *onnx_signature(void *model)
{
	return &((struct onnx_model *)model)->signature;
}

static void onnx_set_threads(void *model, uint32_t threads)
{
	onnx_tune(model, threads);
}

/* Of the arena, what it has taken, which is weights and scratch; of others, what loading took. */
static uint64_t onnx_memory(void *model)
{
	struct onnx_model *m = model;
	const struct onnx *o = m->engine;
	struct onnx_session *s = onnx_session_get(m);
	unsigned long long bytes = 0;
	ort_allocator *arena = NULL;
	ort_pairs *pairs = NULL;
	struct sconce_error ignored;

	if (o->api_version >= 23 &&
	    onnx_check(o, o->api->create_allocator(s->session, o->memory, &arena), &ignored) == 0 &&
	    onnx_check(o, o->api->allocator_stats(arena, &pairs), &ignored) == 0 && pairs) {
		const char *text = o->api->pairs_get(pairs, "TotalAllocated");

		bytes = text ? strtoull(text, NULL, 10) : 0;
		o->api->release_pairs(pairs);
	}
	if (arena)
		o->api->release_allocator(arena);
	onnx_session_put(m, s);
	return bytes > m->loaded_bytes ? bytes : m->loaded_bytes;
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
	.set_threads = onnx_set_threads,
	.memory = onnx_memory,
	.takes = onnx_takes,
	.run_placed = onnx_run_placed,
};
