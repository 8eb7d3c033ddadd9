/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yyjson.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "base/util.h"
#include "wire/json.h"
#include "worker/cache.h"
#include "worker/crash.h"
#include "worker/optimized.h"
#include "worker/piped.h"

#define LOAD_MAX ((size_t)32 << 20)
#define LOAD_RESPONSE_MAX 6553500

/* `prepare`: what that engine can make, and makes it load then; NULL: nothing. */
static void load_refuse(struct session *s, int code, const char *why, const char *prepare)
{
	struct buf json = BUF_INIT(FRAME_ROOM);
	char packet[8 * SCONCE_ERROR_MAX];
	struct frame_writer fw;

	buf_puts(&json, "{\"traceback\":\"\",\"message\":");
	json_put_string(&json, utf8_cut(slice_str(why), SCONCE_ERROR_MAX));
	if (prepare)
		json_put_member(&json, "prepare", prepare);
	buf_putc(&json, '}');
	frame_begin(&fw, packet, sizeof(packet), FRAME_LOADED, (uint64_t)code);
	frame_put_bytes(&fw, buf_slice(&json));
	session_send(s, frame_end(&fw));
	buf_finish(&json);
}

static const char *load_text(yyjson_val *object, const char *key)
{
	const char *text = yyjson_get_str(yyjson_obj_get(object, key));

	return text ? text : "";
}

/* model-config.yaml may say so; without a line of its own a log would leave one wondering. */
static bool load_wants_original(yyjson_val *root)
{
	yyjson_val *config = yyjson_obj_get(root, "model_yaml_config");
	bool original = yyjson_is_false(yyjson_obj_get(config, "optimized"));

	if (original)
		model_log(NULL, 1,
			  "The original model is used: model-config.yaml says optimized: false");
	return original;
}

static int load_pipeline(struct session *s, yyjson_val *root, const char *python,
			 struct sconce_error *e)
{
	const char *envelope = load_text(root, "envelope");
	int r = piped_parse(yyjson_obj_get(root, "pipeline"), &s->pipeline, e);

	if (r < 0 || !s->pipeline)
		return r;
	if (*envelope) {
		snprintf(e->text, sizeof(e->text),
			 "the service envelope %.60s is Python, and goes with no pipeline",
			 envelope);
		return -1;
	}
	pillow_init(&s->pillow, python);
	return piped_check(s->pipeline, python, e);
}

static int load_original(struct session *s, const struct model_wish *w, struct sconce_error *e)
{
	int r = -EINVAL;

	if (*w->file)
		r = model_open(&s->model, w, e);
	else
		snprintf(e->text, sizeof(e->text),
			 "MANIFEST.json names no serializedFile for the engine to load");
	if (r >= 0 && s->pipeline)
		r = pipeline_bind(s->pipeline, s->model.signature, w->dir, e);
	return r;
}

/* If it ends this process, the server knows what the next one need not try. */
static void load_tell_trying(struct session *s, bool trying)
{
	char packet[FRAME_HEAD];
	struct frame_writer fw;

	if (s->fd < 0)
		return;
	frame_begin(&fw, packet, sizeof(packet), FRAME_TRYING, trying);
	session_send(s, frame_end(&fw));
}

static bool load_optimized(struct session *s, yyjson_val *root, const struct model_wish *w)
{
	const char *lost = load_text(root, "optimized_lost");
	bool used;

	if (load_wants_original(root) || !optimized_is_there(w->dir))
		return false;
	if (*lost) {
		optimized_refuse(lost);
		return false;
	}
	load_tell_trying(s, true);
	used = optimized_open(&s->model, w, s->pipeline);
	load_tell_trying(s, false);
	return used;
}

/* A crash meanwhile is told. */
static int load_watched(struct session *s, yyjson_val *root, const struct model_wish *w,
			struct sconce_error *e)
{
	int r;

	if (s->fd >= 0)
		crash_watch(s);
	r = load_optimized(s, root, w) ? 0 : load_original(s, w, e);
	if (s->fd >= 0)
		crash_unwatch();
	if (r >= 0 && s->pipeline)
		piped_choose_gpu(s, w->device);
	return r;
}

int load_document(struct session *s, yyjson_val *root, struct sconce_error *e)
{
	yyjson_val *engine = yyjson_obj_get(root, "engine"), *config;
	_cleanup_(freep) char *json = NULL, *cache = cache_open(load_text(engine, "cache"));
	int64_t threads = 1, instances = 1, batch = 0, max = LOAD_RESPONSE_MAX;
	struct model_wish w = { .engine = load_text(engine, "name"),
				.file = load_text(engine, "file"),
				.device = load_text(engine, "device"),
				.python = load_text(engine, "python"),
				.cache = cache,
				.dir = load_text(root, "model_dir") };
	_cleanup_(freep) char *hint = NULL;
	int r;

	s->decode = s->limit_pixels = true;
	json_bool(root, "decode_input_request", &s->decode);
	json_bool(root, "limit_max_image_pixels", &s->limit_pixels);
	r = load_pipeline(s, root, w.python, e);
	if (r < 0)
		return r;
	config = yyjson_obj_get(engine, "config");
	hint = piped_hint(s->pipeline, config);
	w.hint = hint;
	json = yyjson_is_obj(config) ? yyjson_val_write(config, 0, NULL) : NULL;
	w.config = json ? json : "{}";
	json_i64(root, "threads", &threads);
	json_i64(root, "max_response_size", &max);
	json_i64(root, "batch_size", &batch);
	json_i64(engine, "instances", &instances);
	w.threads = s->threads = (unsigned)MIN(MAX(threads, 1), 4096);
	w.instances = (unsigned)MIN(MAX(instances, 1), MODEL_INSTANCES_MAX);
	w.batch = (unsigned)MIN(MAX(batch, 0), UINT16_MAX);
	s->max_response_size = (uint64_t)MAX(max, 0);
	snprintf(s->model_name, sizeof(s->model_name), "%s", load_text(root, "model_name"));
	return load_watched(s, root, &w, e);
}

int load_model(struct session *s, int fd, size_t n)
{
	char *text = n <= LOAD_MAX ? mem_alloc(n + 1) : NULL;
	struct sconce_error e = { "" };
	yyjson_doc *doc = NULL;
	int r = -EBADMSG;

	if (text && pread(fd, text, n, 0) == (ssize_t)n)
		doc = yyjson_read(text, n, 0);
	snprintf(e.text, sizeof(e.text), "the model's description cannot be read");
	if (doc)
		r = load_document(s, yyjson_doc_get_root(doc), &e);
	e.text[sizeof(e.text) - 1] = '\0';
	if (r < 0)
		load_refuse(s, r == SCONCE_NO_MEMORY ? 507 : 500, e.text,
			    r == SCONCE_NOT_PREPARED ? s->model.plugin.table->name : NULL);
	yyjson_doc_free(doc);
	free(text);
	return r < 0 ? -1 : 0;
}
