/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/native.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yyjson.h>

#include "base/mem.h"
#include "config/settings.h"
#include "fleet/version.h"

struct native_question {
	const struct version *v;
	const struct settings *settings;
	yyjson_val *config; /* model-config.yaml */
	bool optimized;     /* `sconce optimize` has made a model that an engine runs */
};

static const char *const native_handlers[] = { "image_classifier", "image_segmenter",
					       "object_detector" };

static bool native_has_file(const struct version *v, const char *name)
{
	_cleanup_(freep) char *path = mem_printf("%s/%s", v->dir, name);

	return access(path, R_OK) == 0;
}

/* An archive may have a handler of its own by the name of a default one. */
static bool native_is_default(const struct version *v)
{
	_cleanup_(freep) char *own = mem_printf("%s.py", v->handler);

	for (size_t i = 0; i < ARRAY_LEN(native_handlers); i++)
		if (strcmp(v->handler, native_handlers[i]) == 0)
			return !native_has_file(v, own);
	return false;
}

static bool native_environment(const char *name, const char *value)
{
	const char *set = getenv(name);

	return set && (value ? strcmp(set, value) == 0 : *set != '\0');
}

/* ---- what speaks for the handler ---- */

static bool has_envelope(const struct native_question *q)
{
	return q->v->manifest.envelope.n ||
	       (q->settings->service_envelope && *q->settings->service_envelope);
}

static bool is_stateful(const struct native_question *q)
{
	const struct manifest *m = &q->v->manifest;

	return m->continuous_batching || m->sequence_batching || m->async_communication;
}

static bool is_parallel(const struct native_question *q)
{
	return q->v->devices.level > 1 || q->v->manifest.parallel_type.n;
}

static bool is_compiled_in_python(const struct native_question *q)
{
	return yyjson_obj_get(q->config, "pt2") || native_environment("TS_IPEX_ENABLE", "true");
}

/* Its steps are measured, by the handler that has them. */
static bool is_profiled(const struct native_question *q)
{
	yyjson_val *profile = yyjson_obj_get(yyjson_obj_get(q->config, "handler"), "profile");

	return yyjson_is_true(profile) || native_environment("ENABLE_TORCH_PROFILER", NULL);
}

static bool is_code(const struct native_question *q)
{
	return !q->optimized && q->v->manifest.model_file.n;
}

static bool has_no_file(const struct native_question *q)
{
	return !q->optimized && !q->v->manifest.serialized_file.n;
}

static const struct {
	bool (*is)(const struct native_question *q);
	const char *reason;
} native_obstacles[] = {
	{ has_envelope, "a service envelope is Python" },
	{ is_stateful, "sequences, continuous batching and asyncCommunication need a handler" },
	{ is_parallel, "the model is spread over several processes" },
	{ is_compiled_in_python, "it is compiled in Python (pt2, TS_IPEX_ENABLE)" },
	{ is_profiled, "its handler is profiled (handler: profile, ENABLE_TORCH_PROFILER)" },
	{ is_code, "the model is Python code (modelFile): sconce optimize makes one of it that an "
		   "engine runs" },
	{ has_no_file, "the archive has no serializedFile" },
};

static const char *native_obstacle(const struct native_question *q, bool always)
{
	for (size_t i = 0; i < ARRAY_LEN(native_obstacles); i++)
		if (native_obstacles[i].is(q))
			return native_obstacles[i].reason;
	return q->v->devices.gpu && !always
		       ? "it runs on a GPU: native: always takes an engine there, too"
		       : NULL;
}

/* ---- the choice ---- */

static struct slice native_wish(const struct native_question *q)
{
	struct slice wish = q->v->manifest.native;

	return wish.n ? wish : slice_str(q->settings->native);
}

/* A pipeline is what the archive says of itself; only a handler beside it is another way. */
static char *native_choose_pipeline(struct version *v, const struct native_question *q, bool never)
{
	const char *obstacle = native_obstacle(q, true);

	if (never && *v->handler) {
		v->path_reason = mem_strdup("native: never");
		return NULL;
	}
	if (obstacle && !*v->handler)
		return mem_printf("The archive has a pipeline and no handler, and %s", obstacle);
	if (obstacle) {
		v->path_reason = mem_strdup(obstacle);
		return NULL;
	}
	v->native = true;
	v->pipeline = PIPELINE_STEPS;
	v->native_tried = *v->handler;
	return NULL;
}

static char *native_choose_handler(struct version *v, const struct native_question *q,
				   struct slice wish)
{
	bool always = slice_eq(wish, SLICE("always"));
	const char *obstacle = native_obstacle(q, always);

	if (slice_eq(wish, SLICE("never")))
		obstacle = "native: never";
	else if (always && obstacle)
		return mem_printf("native: always, but %s", obstacle);
	if (obstacle) {
		v->path_reason = mem_strdup(obstacle);
		return NULL;
	}
	v->native = true;
	v->pipeline = PIPELINE_HANDLER;
	v->native_tried = !always;
	return NULL;
}

char *native_choose(struct version *v, const struct settings *s)
{
	struct slice json = v->manifest.config_json;
	yyjson_doc *doc = yyjson_read(json.p, json.n, 0);
	struct native_question q = { .v = v, .settings = s, .config = yyjson_doc_get_root(doc) };
	struct slice wish = native_wish(&q);
	char *wrong = NULL;

	q.optimized = native_has_file(v, "optimized/optimized.json");
	if (v->native)
		v->pipeline = yyjson_obj_get(q.config, "pipeline") ? PIPELINE_STEPS : PIPELINE_NONE;
	else if (yyjson_obj_get(q.config, "pipeline"))
		wrong = native_choose_pipeline(v, &q, slice_eq(wish, SLICE("never")));
	else if (native_is_default(v))
		wrong = native_choose_handler(v, &q, wish);
	else if (slice_eq(v->manifest.native, SLICE("always")))
		wrong = mem_strdup("native: always, but the archive has neither a pipeline nor a "
				   "handler that an engine can stand in for (image_classifier, "
				   "image_segmenter, object_detector)");
	yyjson_doc_free(doc);
	return wrong;
}
