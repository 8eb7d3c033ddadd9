/* SPDX-License-Identifier: Apache-2.0 */
#include "openvino.h"

/* From a file to what runs. */

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_ROOM 512

/* ---- settings ---- */

static int set(const struct openvino *o, const char *key, const char *value, struct sconce_error *e)
{
	return openvino_check(o, o->api.core_set_property(o->core, OPENVINO_DEVICE, key, value), e);
}

/* Exact unless the model's owner allows otherwise: OpenVINO by itself prefers what is fastest on
 * the processor, which is bf16 on many. */
static int set_precision(struct openvino_model *m, struct sconce_error *e)
{
	static const char *const known[][2] = { { "fp32", "f32" },
						{ "bf16", "bf16" },
						{ "fp16", "f16" } };
	const char *wanted = "fp32";
	size_t i = 0;
	int r = settings_text(&m->settings, "precision", &wanted, e);

	while (i < 3 && strcmp(wanted, known[i][0]) != 0)
		i++;
	if (r)
		return r;
	if (i == 3)
		return kit_fail(e, -1, "engine: precision: %.100s is none of fp32, bf16, fp16",
				wanted);
	if (i && !strcasestr(openvino_features(m->engine), wanted))
		kit_log(m->engine->host, 2,
			"this processor has no %s (%s): OpenVINO may compute in fp32", wanted,
			m->engine->features);
	r = set(m->engine, "EXECUTION_MODE_HINT", i ? "PERFORMANCE" : "ACCURACY", e);
	return r ? r : set(m->engine, "INFERENCE_PRECISION_HINT", known[i][1], e);
}

static int set_properties(struct openvino_model *m, struct sconce_error *e)
{
	yyjson_val *all = yyjson_obj_get(m->settings.root, "properties"), *key, *value;
	char text[VALUE_ROOM];
	size_t i, n;
	int r = 0;

	if (all && !yyjson_is_obj(all))
		return kit_fail(e, -1, "engine: properties: is no mapping");
	yyjson_obj_foreach(all, i, n, key, value)
	{
		if (settings_value(value, text, sizeof(text)) < 0)
			return kit_fail(e, -1, "engine: properties: %.100s is no text or number",
					yyjson_get_str(key));
		r = set(m->engine, yyjson_get_str(key), text, e);
		if (r)
			return r;
	}
	return 0;
}

bool openvino_has_threads(const struct openvino_model *m)
{
	yyjson_val *all = yyjson_obj_get(m->settings.root, "properties"), *key, *value;
	size_t i, n;

	yyjson_obj_foreach(all, i, n, key, value)
	{
		const char *name = yyjson_get_str(key);

		if (strcasestr(name, "thread") || strcasestr(name, "stream"))
			return true;
	}
	return false;
}

int openvino_configure(struct openvino_model *m, struct sconce_error *e)
{
	int r = set_precision(m, e);

	/* Processors are shared with other models, and pinned by the host where it wants them so.
	 */
	if (!r)
		r = set(m->engine, "ENABLE_CPU_PINNING", "NO", e);
	return r ? r : set_properties(m, e);
}

/* ---- compiling ---- */

/* TensorFlow's is a folder. */
static void path_to_read(const char *path, char *ret, size_t room)
{
	static const char file[] = "/saved_model.pb";
	size_t n = strlen(path);

	if (n > strlen(file) && strcmp(path + n - strlen(file), file) == 0)
		n -= strlen(file);
	snprintf(ret, room, "%.*s", (int)n, path);
}

static int compile(struct openvino_model *m, ov_model *read, struct openvino_compiled *c,
		   struct sconce_error *e)
{
	const struct openvino *o = m->engine;
	char streams[16], threads[16];

	snprintf(streams, sizeof(streams), "%u", c->streams);
	snprintf(threads, sizeof(threads), "%u", c->threads);
	return openvino_check(o,
			      o->api.core_compile_model(o->core, read, OPENVINO_DEVICE, 4,
							&c->compiled, "NUM_STREAMS", streams,
							"INFERENCE_NUM_THREADS", threads),
			      e);
}

int openvino_compile(struct openvino_model *m, unsigned streams, unsigned each,
		     struct openvino_compiled **ret, ov_model **ret_read, struct sconce_error *e)
{
	const struct openvino *o = m->engine;
	struct openvino_compiled *c = calloc(1, sizeof(*c));
	char path[KIT_PATH_MAX];
	ov_model *read = NULL;
	int r;

	if (!c)
		return kit_no_memory(e);
	*c = (struct openvino_compiled){ .streams = streams,
					 .threads = streams * each,
					 .users = 1 };
	path_to_read(m->path, path, sizeof(path));
	r = openvino_check(o, o->api.core_read_model(o->core, path, NULL, &read), e);
	if (!r)
		r = compile(m, read, c, e);
	if (ret_read && !r)
		*ret_read = read;
	else if (read)
		o->api.model_free(read);
	/* What it was made from has been copied. */
	malloc_trim(0);
	if (r)
		free(c);
	else
		*ret = c;
	return r;
}

void openvino_put(struct openvino_model *m, struct openvino_compiled *c)
{
	if (!c || --c->users)
		return;
	m->engine->api.compiled_model_free(c->compiled);
	free(c);
	malloc_trim(0);
}
