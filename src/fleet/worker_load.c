/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/worker.h"

/* The LOAD frame: which model a fresh process is to be, and the memory for its replies. */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <yyjson.h>

#include "base/err.h"
#include "base/mem.h"
#include "fleet/placement.h"
#include "fleet/python.h"
#include "pool/memfd.h"
#include "wire/json.h"

#define WORKER_LOAD_MAX ((size_t)32 << 20)
/* Address space, not memory: what is in use counts in the budget, which is the bound. */
#define WORKER_OUTBOUND_MIN ((size_t)64 << 20)
#define WORKER_OUTBOUND_MAX ((size_t)4 << 30)

static void load_bool(struct buf *b, const char *key, bool value)
{
	buf_printf(b, ",\"%s\":%s", key, value ? "true" : "false");
}

static void load_gpu(struct worker *w, struct buf *b)
{
	int gpu = placement_gpu_seen(w);

	if (gpu >= 0)
		buf_printf(b, "%d", gpu);
	else
		buf_puts(b, "null");
}

/* Where there is a handler to fall back to, nobody waits minutes for a compiler. */
static void load_engine_settings(struct worker *w, yyjson_val *engine, struct buf *b)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *o = yyjson_is_obj(engine) ? yyjson_val_mut_copy(doc, engine)
						  : yyjson_mut_obj(doc);
	char *json;

	if (w->model.native_tried && !yyjson_mut_obj_get(o, "build"))
		yyjson_mut_obj_add_bool(doc, o, "build", false);
	json = yyjson_mut_val_write(o, 0, NULL);
	buf_printf(b, ",\"config\":%s", json ? json : "{}");
	free(json);
	yyjson_mut_doc_free(doc);
}

/* The steps of model-config.yaml, or those that a handler is known by. */
static void load_pipeline(struct worker *w, yyjson_val *config, struct buf *b)
{
	char *json;

	if (w->model.pipeline == PIPELINE_STEPS) {
		json = yyjson_val_write(yyjson_obj_get(config, "pipeline"), 0, NULL);
		buf_printf(b, ",\"pipeline\":{\"steps\":%s}", json ? json : "[]");
		free(json);
	} else if (w->model.pipeline == PIPELINE_HANDLER) {
		buf_puts(b, ",\"pipeline\":{\"handler\":");
		json_put_string(b, slice_str(w->model.handler));
		buf_putc(b, '}');
	}
}

/* For the native worker: which engine runs what, on how many instances. */
static void load_engine(struct worker *w, struct buf *b)
{
	const struct python *python = w->shared->python;
	_cleanup_(freep) char *file = slice_dup(w->model.manifest->serialized_file);
	struct slice json = w->model.manifest->config_json;
	yyjson_doc *doc = yyjson_read(json.p, json.n, 0);
	yyjson_val *config, *engine;
	int gpu = placement_gpu_seen(w);
	char device[32] = "cpu";

	if (gpu >= 0)
		snprintf(device, sizeof(device), "cuda:%d", gpu);
	config = yyjson_doc_get_root(doc);
	engine = yyjson_obj_get(config, "engine");
	buf_printf(b, ",\"engine\":{\"instances\":%u", w->wanted);
	json_put_member(b, "file", file);
	json_put_member(b, "device", device);
	json_put_member(b, "python", w->model.python ? w->model.python : python->executable);
	json_put_member(b, "cache", w->shared->settings->cache_dir);
	json_put_member(
		b, "name",
		yyjson_get_str(yyjson_is_str(engine) ? engine : yyjson_obj_get(engine, "name")));
	load_engine_settings(w, engine, b);
	buf_putc(b, '}');
	load_pipeline(w, config, b);
	yyjson_doc_free(doc);
}

/* Who is to load the original at once is told why. */
static void load_lost(struct worker *w, struct buf *b)
{
	const char *lost = w->model.optimized_lost ? *w->model.optimized_lost : NULL;

	w->may_try = !lost;
	if (lost)
		json_put_member(b, "optimized_lost", lost);
}

static void load_json(struct worker *w, struct buf *b)
{
	const struct worker_model *of = &w->model;
	const struct settings *s = w->shared->settings;
	const struct manifest *m = of->manifest;
	_cleanup_(freep) char *envelope = s->service_envelope && *s->service_envelope
						  ? mem_strdup(s->service_envelope)
						  : slice_dup(m->envelope);

	buf_printf(b, "{\"batch_size\":%u,\"threads\":%u,\"max_response_size\":%llu,\"gpu_id\":",
		   of->batch_size, w->threads, (unsigned long long)s->max_response_size);
	load_gpu(w, b);
	json_put_member(b, "model_name", of->name);
	json_put_member(b, "model_version", of->version);
	json_put_member(b, "model_dir", of->dir);
	json_put_member(b, "handler", of->handler);
	json_put_member(b, "envelope", envelope);
	json_put_member(b, "server_version", SCONCE_VERSION);
	json_put_member(b, "worker_id", w->label);
	load_bool(b, "limit_max_image_pixels", s->limit_max_image_pixels);
	load_bool(b, "decode_input_request", s->decode_input_request);
	load_bool(b, "metrics", true);
	load_bool(b, "log_request_id", s->log_request_id || strcmp(s->log_format, "json") == 0);
	load_bool(b, "log_records", strcmp(s->log_format, "json") == 0);
	load_bool(b, "dev", s->dev);
	load_bool(b, "at_most_once", !worker_may_retry(w));
	load_bool(b, "async", m->async_communication);
	load_bool(b, "continuous_batching", m->continuous_batching);
	load_bool(b, "sequence_batching", m->sequence_batching);
	json_put_member(b, "header_key_sequence_id", s->ts_header_key_sequence_id);
	json_put_member(b, "header_key_sequence_start", s->ts_header_key_sequence_start);
	json_put_member(b, "header_key_sequence_end", s->ts_header_key_sequence_end);
	load_lost(w, b);
	if (w->model.native)
		load_engine(w, b);
	buf_puts(b, ",\"model_metrics\":");
	catalogue_write_model(w->shared->telemetry->catalogue, b);
	buf_puts(b, ",\"manifest\":");
	buf_put_slice(b, m->manifest_json.n ? m->manifest_json : SLICE("{}"));
	buf_puts(b, ",\"model_yaml_config\":");
	buf_put_slice(b, m->config_json.n ? m->config_json : SLICE("{}"));
	buf_putc(b, '}');
}

static int worker_make_memory(struct worker *w)
{
	size_t size = WORKER_OUTBOUND_MIN;
	struct outbound *o;
	int r;

	/* Whatever the budget allows, so that replies which slow clients still read are in the way
	 * of no others; twice, for blocks are powers of two. */
	while (size < WORKER_OUTBOUND_MAX &&
	       size < 2 * MAX(w->shared->settings->max_response_size, w->shared->budget->limit))
		size *= 2;
	r = outbound_create(&o, w->shared->budget, size);
	/* There is a limit on files (ulimit -f), and it counts as one, or on addresses (-v). */
	while ((r == -EFBIG || r == -ENOMEM) && size > WORKER_OUTBOUND_MIN) {
		size /= 2;
		r = outbound_create(&o, w->shared->budget, size);
	}
	if (r < 0)
		return err_trace(r);
	w->memory = mem_new(struct worker_memory);
	w->memory->pool = w->shared->pool;
	w->memory->outbound = o;
	w->memory->refs = 1;
	list_push_back(&w->shared->memories, &w->memory->link);
	return 0;
}

uint64_t worker_trim(struct worker *w, uint64_t tick, unsigned ticks, uint64_t bytes_max)
{
	if (!w->memory || tick % ticks != w->id % ticks)
		return 0;
	return outbound_trim(w->memory->outbound, bytes_max);
}

uint64_t workers_shed(struct worker_shared *s, uint64_t bytes_max)
{
	uint64_t given = 0;

	if (s->budget->idle <= budget_idle_max(s->budget))
		return 0;
	/* Those that only clients still read from are among the oldest. */
	list_for_each (n, &s->memories) {
		struct worker_memory *m = container_of(n, struct worker_memory, link);

		given += outbound_shed(m->outbound, bytes_max - given);
	}
	return given;
}

/* The document goes through memory: what a model's configuration says may be larger than a frame.
 */
int worker_send_load(struct worker *w)
{
	_cleanup_(buf_finish) struct buf json = BUF_INIT(WORKER_LOAD_MAX);
	char packet[FRAME_HEAD];
	struct frame_writer fw;
	struct memfd document;
	int r;

	r = worker_make_memory(w);
	if (r < 0)
		return err_trace(r);
	w->next_seq = 0;
	w->threads = worker_threads(w);
	w->wanted = w->ops->instances(w->owner);
	load_json(w, &json);
	if (buf_overflowed(&json))
		return err_origin(-E2BIG);
	r = memfd_open(&document, "sconce-load", json.n, MEMFD_OURS);
	if (r < 0)
		return err_trace(r);
	memcpy(document.p, json.p, json.n);
	frame_begin(&fw, packet, sizeof(packet), FRAME_LOAD, json.n);
	r = channel_send(&w->channel, frame_end(&fw),
			 (const int[]){ outbound_fd(w->memory->outbound), document.fd }, 2);
	memfd_close(&document);
	return r;
}
