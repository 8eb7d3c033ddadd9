/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/worker.h"

/*
 * What a worker sends. Nothing is believed: an id must be in flight on this very worker, a granted
 * body must lie inside that request's own grant. The first lie ends the worker. What its handler
 * may get wrong (a header that cannot be sent) fails the one request.
 */

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <yyjson.h>

#include "base/clock.h"
#include "base/mem.h"
#include "config/settings.h"
#include "fleet/worker_trace.h"
#include "telemetry/handler_metrics.h"
#include "log/log.h"
#include "wire/http.h"
#include "wire/json.h"

#define WORKER_CREDITS_MAX 1024
#define WORKER_ENGINE_NAME_MAX 32
#define WORKER_NEED_MAX_SLACK 65536 /* head room of a reply over max_response_size */

static int worker_refuse(struct worker *w, const char *why)
{
	worker_kill(w, why);
	return -EBADMSG;
}

void worker_broken(struct channel *c, const char *why)
{
	struct worker *w = container_of(c, struct worker, channel);

	/* Its end is told by whoever made it, never by the socket; but a handler may have closed
	 * that with all others. */
	if (why)
		worker_refuse(w, why);
	else
		worker_deaf(w);
}

static yyjson_doc *worker_json(const struct frame *f)
{
	return yyjson_read_opts((char *)(uintptr_t)f->body.p, f->body.n, 0, NULL, NULL);
}

static int worker_hello(struct worker *w, const struct frame *f)
{
	yyjson_doc *doc = worker_json(f);
	yyjson_val *root = yyjson_doc_get_root(doc);
	int64_t protocol = 0;
	int r;

	if (w->state != WORKER_STARTING) {
		yyjson_doc_free(doc);
		return worker_refuse(w, "it sent a second HELLO");
	}
	if (!yyjson_is_obj(root) || !json_i64(root, "protocol", &protocol) ||
	    protocol != FRAME_PROTOCOL) {
		yyjson_doc_free(doc);
		return worker_refuse(w, "it speaks another protocol version");
	}
	yyjson_doc_free(doc);
	w->state = WORKER_LOADING;
	r = worker_send_load(w);
	if (r < 0)
		return worker_refuse(w, "the model could not be sent to it");
	return 0;
}

static void worker_note_imports(struct worker *w, yyjson_val *root)
{
	yyjson_val *imports = yyjson_obj_get(root, "imports"), *v;
	size_t i, n;

	yyjson_arr_foreach(imports, i, n, v) if (yyjson_equals_str(v, "torch"))
		w->ops->imports_torch(w->owner);
}

/* How it takes its work. */
static void worker_note_credits(struct worker *w, yyjson_val *root)
{
	int64_t credits = 1;

	json_i64(root, "credits", &credits);
	json_bool(root, "async", &w->async);
	w->credits = (unsigned)MIN(MAX(credits, 1), WORKER_CREDITS_MAX);
}

static void worker_ready(struct worker *w, yyjson_val *root)
{
	double ms;

	worker_note_credits(w, root);
	worker_note_imports(w, root);
	if (w->trouble_ns)
		log_line(LOG_SERVER, LOG_INFO, w->label, "sconce.worker",
			 "Auto recovery succeeded, reset recoveryStartTS");
	w->trouble_ns = 0;
	w->state = WORKER_READY;
	w->ready_ns = clock_now_ns();
	ms = (double)((w->ready_ns - w->began_ns) / NS_PER_MS);
	telemetry_worker_loaded(w->shared->telemetry, w->label, ms);
	uv_timer_stop(w->timer);
	log_line(LOG_SERVER, LOG_INFO, w->label, "sconce.worker",
		 "Worker loaded the model in %.0f ms", ms);
	w->ops->loaded(w->owner, w, 200, NULL);
}

static bool is_engine_name(const char *text)
{
	static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
	size_t n = text ? strlen(text) : 0;

	return n && n <= WORKER_ENGINE_NAME_MAX && strspn(text, alphabet) == n;
}

/* It exits by itself; its death tells whoever waits. */
static void worker_cannot_load(struct worker *w, int64_t code, yyjson_val *root)
{
	const char *text = yyjson_get_str(yyjson_obj_get(root, "message"));
	const char *traceback = yyjson_get_str(yyjson_obj_get(root, "traceback"));
	const char *prepare = yyjson_get_str(yyjson_obj_get(root, "prepare"));

	worker_forget_load(w);
	w->load_code = code >= 400 && code < 600 ? (int)code : 500;
	w->load_message = mem_strdup(text ? text : "unknown");
	w->load_traceback = mem_strdup(traceback ? traceback : "");
	w->load_prepare = is_engine_name(prepare) ? mem_strdup(prepare) : NULL;
	/* That an engine does not load what a handler can is no trouble. */
	log_line(LOG_SERVER, w->model.native_tried ? LOG_INFO : LOG_ERROR, w->label,
		 "sconce.worker", "Backend worker error: %s", w->load_message);
}

static int worker_loaded(struct worker *w, const struct frame *f)
{
	yyjson_doc *doc = worker_json(f);
	yyjson_val *root = yyjson_doc_get_root(doc);

	bool again = w->model.native && w->state == WORKER_READY && f->arg == 200;

	/* Its end is on its way: it has not loaded in time, whatever it says now. */
	if (w->killed) {
		yyjson_doc_free(doc);
		return 0;
	}
	if (!yyjson_is_obj(root) || w->state == WORKER_STARTING ||
	    (w->state == WORKER_READY && !again)) {
		yyjson_doc_free(doc);
		return worker_refuse(w, "it sent LOADED out of turn or without a document");
	}
	/* Another of its processes has ended since that one had loaded. */
	if (w->state == WORKER_LOADING && f->arg == 200 && w->ranks && w->load_message) {
		yyjson_doc_free(doc);
		return worker_refuse(w, w->load_message);
	}
	if (again) {
		worker_count_busy(w, clock_now_ns());
		worker_note_credits(w, root);
	}
	if (w->state == WORKER_LOADING && f->arg == 200)
		worker_ready(w, root);
	else if (w->state == WORKER_LOADING)
		worker_cannot_load(w, (int64_t)MIN(f->arg, (uint64_t)INT_MAX), root);
	if (w->model.native && f->arg == 200) {
		yyjson_doc_free(w->facts);
		w->facts = TAKE(doc);
	}
	yyjson_doc_free(doc);
	if (again)
		w->ops->loaded(w->owner, w, 200, NULL);
	return 0;
}

/* ---- replies ---- */

struct request *worker_find(const struct worker *w, uint64_t id, struct flight **ret)
{
	list_for_each (n, &w->flights) {
		struct flight *fl = container_of(n, struct flight, link);

		list_for_each (m, &fl->requests) {
			struct request *r = container_of(m, struct request, link);

			if (r->id == id) {
				*ret = fl;
				return r;
			}
		}
	}
	return NULL;
}

static bool worker_reply_valid(const struct frame_reply *fr)
{
	struct slice rest = fr->headers, name, value;

	/* One below 200 announces an answer and is none, of an error and of a stream neither. */
	if (fr->status < 200 || fr->status > 999)
		return false;
	if (!http_value_valid(fr->type) || !http_value_valid(fr->phrase))
		return false;
	while (frame_header_next(&rest, &name, &value) > 0)
		if (!http_name_valid(name) || !http_value_valid(value))
			return false;
	return true;
}

struct lease {
	struct worker_memory *memory;
	struct span grant;
};

static void lease_release(void *arg)
{
	struct lease *l = arg;

	outbound_revoke(l->memory->outbound, l->grant);
	worker_memory_unref(l->memory);
	free(l);
}

static void worker_lease(struct worker *w, struct request *r, struct reply *reply)
{
	struct lease *l = mem_new(struct lease);

	l->memory = w->memory;
	l->memory->refs++;
	l->grant = r->grant;
	r->grant = (struct span){ 0 };
	reply->release = lease_release;
	reply->arg = l;
}

/* TorchServe counts the latencies of what succeeded, when it has. */
static void worker_observe_done(struct worker *w, const struct request *r, const struct flight *fl)
{
	struct version_metrics *m = w->model.metrics;
	uint64_t took = w->progress_ns - r->queued_ns, waited = fl->sent_ns - r->queued_ns;
	const struct meter_change changes[] = {
		{ r->versioned ? &m->inference_latency_us_named : &m->inference_latency_us,
		  (double)(took / NS_PER_US) },
		{ r->versioned ? &m->queue_latency_us_named : &m->queue_latency_us,
		  (double)(waited / NS_PER_US) },
		{ &w->shared->telemetry->queue_time, (double)(waited / NS_PER_MS) },
	};
	struct log_subject subject = { .request_id = r->uuid };
	struct metric_request about = { r->uuid, subject.trace, w->progress_ns };

	/* Of one that is not recorded nobody would find the trace. */
	if (trace_is_sampled(r->trace))
		subject = tracer_subject(r->uuid, r->trace);
	metric_observe_request(m->request_seconds, (double)took / 1e9, &about);
	if (r->op == REQUEST_DESCRIBE)
		return;
	meter_update_all(changes, ARRAY_LEN(changes), w->label, SLICE_NULL);
}

/* A batch took the handler `busy_ns`; the rest since it was sent is ours. */
static void worker_observe_batch(struct worker *w, const struct flight *fl, uint64_t busy_ns)
{
	const struct meter *prediction = &w->model.metrics->prediction_time;
	uint64_t whole_ns = w->progress_ns - fl->sent_ns;
	uint64_t theirs_ns = MIN(busy_ns, whole_ns);
	/* Two decimals, as TorchServe's workers round it. */
	double ms = (double)((theirs_ns + 5000) / 10000) / 100;

	meter_update_all(&(const struct meter_change){ prediction, ms }, 1, w->out.label,
			 buf_slice(&fl->ids));
	meter_update(&w->shared->telemetry->worker_thread_time, w->label,
		     (double)((whole_ns - theirs_ns) / NS_PER_MS));
}

/* What the worker should have refused itself: this request fails, and nobody else. */
static void worker_spoil(struct worker *w, struct request *r)
{
	struct log_subject about = tracer_subject(r->uuid, r->trace);

	log_about(LOG_SERVER, LOG_ERROR, w->label, "sconce.worker", &about,
		  "Request %s fails: its handler gave a status or header that HTTP does not allow",
		  r->uuid);
	r->spoiled = true;
	worker_cancel(w, r);
}

/* Fills in the body. Less than 0: it was a lie. */
static int worker_reply_body(struct worker *w, struct request *r, const struct frame_reply *fr,
			     struct reply *reply)
{
	bool granted = fr->flags & FRAME_REPLY_GRANTED;
	const void *view = NULL;

	if (!reply->final && r->streamed - r->opened >= FRAME_WINDOW_BYTES)
		return worker_refuse(w, "it streamed more than its client had taken");
	if (granted)
		view = outbound_view(w->memory->outbound, r->grant, fr->offset, fr->length);
	if (granted && !view)
		return worker_refuse(w, "it named reply memory that it was not granted");
	/* No sooner: its client takes what came before until the liar has ended. */
	if (!reply->final)
		r->streamed += fr->length;
	if (granted) {
		reply->body = slice_make(view, fr->length);
		worker_lease(w, r, reply);
	}
	return 0;
}

/* Of a request that is to fail nothing goes out but, in the end, why. False: that is not yet. */
static bool worker_reply_spoiled(struct worker *w, struct request *r, struct reply *reply)
{
	if (reply->release)
		reply->release(reply->arg);
	if (!reply->final) {
		r->taken = r->streamed;
		worker_stream_taken(w, r);
		return false;
	}
	*reply = (struct reply){ .status = 500,
				 .final = true,
				 .error = true,
				 .body = SLICE("The handler's answer cannot be sent: its status, "
					       "content type or a header is none of HTTP's.") };
	return true;
}

/* The request is about to have its last reply; what it had is free. */
static void worker_reply_last(struct worker *w, struct request *r, struct flight *fl,
			      const struct reply *reply)
{
	assert(r->place == w && fl->left > 0);
	list_remove(&r->link);
	worker_revoke(w, r);
	r->place = NULL;
	if (!reply->error)
		worker_observe_done(w, r, fl);
	w->ops->release(w->owner);
	fl->left--;
}

static int worker_reply(struct worker *w, const struct frame_reply *fr, struct flight **ret_done)
{
	struct flight *fl = NULL;
	struct request *r = worker_find(w, fr->id, &fl);
	struct reply reply = { .status = fr->status,
			       .type = fr->type,
			       .phrase = fr->phrase,
			       .headers = fr->headers,
			       .body = fr->body,
			       .final = fr->flags & FRAME_REPLY_FINAL,
			       .error = fr->flags & FRAME_REPLY_ERROR };

	if (!r)
		return worker_refuse(w, "it answered a request that it was not given");
	if (worker_reply_body(w, r, fr, &reply) < 0)
		return -EBADMSG;
	fl->alive_ns = w->progress_ns;
	if (!r->spoiled && !worker_reply_valid(fr))
		worker_spoil(w, r);
	if (r->spoiled && !worker_reply_spoiled(w, r, &reply))
		return 0;
	sizes_learn(w->model.sizes, fr->length);
	r->answered = true;
	if (r->goal_ns || w->async)
		w->ops->timed(w->owner, r, &reply, w->progress_ns);
	if (r->sequence)
		w->ops->sequence_answered(w->owner, r, &reply, w->progress_ns);
	worker_trace_replied(w, r, &reply);
	if (reply.final) {
		worker_reply_last(w, r, fl, &reply);
		*ret_done = fl->left ? NULL : fl;
	}
	r->reply(r, &reply);
	return 0;
}

/* Moves the batches that are complete to `finished`. */
static int worker_replies(struct worker *w, const struct frame *f, struct list *finished)
{
	struct slice rest = f->body;
	struct frame_reply fr;

	for (unsigned i = 0; i < f->count; i++) {
		struct flight *done = NULL;

		if (frame_reply_next(&rest, &fr) < 0)
			return worker_refuse(w, "it sent a malformed reply");
		if (worker_reply(w, &fr, &done) < 0)
			return -EBADMSG;
		if (!done)
			continue;
		worker_flight_done(w, done);
		list_push_back(finished, &done->link);
	}
	return rest.n ? worker_refuse(w, "it sent bytes behind its replies") : 0;
}

/* The handler's time is known for all of them together. */
static void worker_finish_flights(struct worker *w, struct list *finished, uint64_t busy_ns)
{
	unsigned batches = 0, requests = 0;
	struct list *n;

	list_for_each (m, finished) {
		batches++;
		requests += container_of(m, struct flight, link)->n;
	}
	if (batches)
		batch_cost_frame(w->model.cost, busy_ns);
	while ((n = list_pop(finished))) {
		struct flight *fl = container_of(n, struct flight, link);

		worker_observe_batch(w, fl, busy_ns / batches);
		flight_free(fl);
		/* In a Python worker that runs several at once, one waits for the other. */
		if (!w->async || w->model.native)
			batch_cost_learn(w->model.cost, requests / batches, busy_ns / batches);
	}
}

static int worker_chunk(struct worker *w, const struct frame *f)
{
	struct list finished = LIST_INIT(finished);
	int r;

	if (w->state != WORKER_READY && w->state != WORKER_STOPPING)
		return worker_refuse(w, "it sent replies before it had loaded");
	w->progress_ns = clock_now_ns();
	r = worker_replies(w, f, &finished);
	/* It cannot have been busy for longer than it has been there. */
	worker_finish_flights(w, &finished, MIN(f->arg, w->progress_ns - w->began_ns));
	if (!r)
		w->ops->touch(w->owner);
	return r;
}

static int worker_need(struct worker *w, const struct frame *f)
{
	uint64_t limit = w->shared->settings->max_response_size + WORKER_NEED_MAX_SLACK;
	struct slice rest = f->body;
	struct frame_writer fw;
	char packet[FRAME_HEAD + 16];
	struct flight *fl;
	struct request *r;
	uint64_t n;

	if (frame_u64(&rest, &n) < 0)
		return worker_refuse(w, "it sent a malformed NEED");
	r = worker_find(w, f->arg, &fl);
	if (!r)
		return worker_refuse(w, "it asked for memory for a request that it was not given");
	fl->alive_ns = w->progress_ns = clock_now_ns();
	worker_revoke(w, r);
	if (n <= limit)
		outbound_grant(w->memory->outbound, n, &r->grant);
	frame_begin(&fw, packet, sizeof(packet), FRAME_GRANT, r->id);
	frame_put_u64(&fw, r->grant.offset);
	frame_put_u64(&fw, r->grant.length);
	channel_send(&w->channel, frame_end(&fw), NULL, 0);
	return 0;
}

/* Model-to-model calls: until a flow asks for them they are refused, so that a handler gets an
 * error instead of waiting. */
static int worker_call(struct worker *w, const struct frame *f)
{
	static const char text[] = "Calling a model from a handler is not enabled.";
	struct frame_reply fr = { .status = 501,
				  .flags = FRAME_REPLY_FINAL | FRAME_REPLY_ERROR,
				  .id = f->arg,
				  .length = sizeof(text) - 1,
				  .body = SLICE(text) };
	struct frame_writer fw;
	char packet[512];

	frame_begin(&fw, packet, sizeof(packet), FRAME_ANSWER, f->arg);
	frame_put_reply(&fw, &fr);
	channel_send(&w->channel, frame_end(&fw), NULL, 0);
	return 0;
}

/* Of one that was told not to it would be a way to fail for ever without a word. */
static int worker_trying(struct worker *w, const struct frame *f)
{
	if (w->state != WORKER_LOADING)
		return worker_refuse(w, "it sent TRYING out of turn");
	w->trying = f->arg && w->may_try;
	return 0;
}

static int worker_logged(struct worker *w, const struct frame *f)
{
	enum log_level level = f->arg <= LOG_DEBUG ? (enum log_level)f->arg : LOG_INFO;

	log_text(LOG_MODEL, level, w->label, "MODEL_LOG", f->body);
	return 0;
}

int worker_received(struct channel *c, const struct frame *f)
{
	struct worker *w = container_of(c, struct worker, channel);

	worker_check(w);
	/* What a liar still has in the pipe is not looked at; a late answer is. */
	if (w->killed && !w->timed_out)
		return -EBADMSG;
	switch (f->type) {
	case FRAME_HELLO:
		return worker_hello(w, f);
	case FRAME_LOADED:
		return worker_loaded(w, f);
	case FRAME_CHUNK:
		return worker_chunk(w, f);
	case FRAME_NEED:
		return worker_need(w, f);
	case FRAME_METRIC:
		handler_metrics_update(&w->shared->telemetry->handlers, w->out.label, f->body);
		return 0;
	case FRAME_LOG:
		return worker_logged(w, f);
	case FRAME_TRYING:
		return worker_trying(w, f);
	case FRAME_CALL:
		return worker_call(w, f);
	case FRAME_TRACE:
		return worker_traced(w, f) < 0 ? worker_refuse(w, "it sent a malformed TRACE") : 0;
	case FRAME_RETAIN:
	case FRAME_RELEASE:
		return 0; /* only tensor inputs are lent out; see docs/protocol.md */
	default:
		return worker_refuse(w, "it sent a frame of a type that workers do not send");
	}
}
