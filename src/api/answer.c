/* SPDX-License-Identifier: Apache-2.0 */
#include "api/call.h"

/* Turning results into HTTP answers: TorchServe's headers, documents and error types. */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/dialect.h"
#include "base/clock.h"
#include "base/guess.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "fleet/fleet.h"
#include "trace/tracer.h"
#include "wire/frame.h"
#include "wire/json.h"

#define ANSWER_TEXT_MAX ((size_t)64 << 20)
#define ANSWER_HEADERS_MAX ((size_t)131072)
#define ANSWER_SMALL ((size_t)4096) /* the exchange's own memory: net bounds how many there are */

/* TorchServe sends these on every answer. */
#define ANSWER_PRAGMA "Pragma: no-cache\r\n"
#define ANSWER_CACHE "Cache-Control: no-cache; no-store, must-revalidate, private\r\n"
#define ANSWER_EXPIRES "Expires: Thu, 01 Jan 1970 00:00:00 UTC\r\n"
static const struct {
	struct slice name, line;
} answer_standard[] = {
	{ SLICE_CONST("Pragma"), SLICE_CONST(ANSWER_PRAGMA) },
	{ SLICE_CONST("Cache-Control"), SLICE_CONST(ANSWER_CACHE) },
	{ SLICE_CONST("Expires"), SLICE_CONST(ANSWER_EXPIRES) },
};

/* What net writes itself or would break the framing, and the name that logs have of the request. */
static const struct slice answer_reserved[] = {
	SLICE_CONST("content-length"), SLICE_CONST("transfer-encoding"), SLICE_CONST("connection"),
	SLICE_CONST("keep-alive"),     SLICE_CONST("upgrade"),           SLICE_CONST("x-request-id")
};

static bool answer_is_reserved(struct slice name)
{
	for (size_t i = 0; i < ARRAY_LEN(answer_reserved); i++)
		if (slice_ieq(name, answer_reserved[i]))
			return true;
	return false;
}

static bool answer_overrides(struct slice block, struct slice wanted)
{
	struct slice name, value;

	while (frame_header_next(&block, &name, &value) > 0)
		if (slice_ieq(name, wanted))
			return true;
	return false;
}

/* Those of ours that the handler has not given itself; it gives few. */
static void answer_put_standard(struct buf *b, struct slice block)
{
	struct slice name, value;
	bool given[ARRAY_LEN(answer_standard)] = { false }, any = false;

	while (frame_header_next(&block, &name, &value) > 0)
		for (size_t i = 0; i < ARRAY_LEN(answer_standard); i++)
			if (slice_ieq(name, answer_standard[i].name))
				any = given[i] = true;
	if (!any) {
		buf_put_slice(b, SLICE(ANSWER_PRAGMA ANSWER_CACHE ANSWER_EXPIRES));
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(answer_standard); i++)
		if (!given[i])
			buf_put_slice(b, answer_standard[i].line);
}

static void answer_line(struct buf *b, struct slice name, struct slice value)
{
	buf_put_slice(b, name);
	buf_append(b, ": ", 2);
	buf_put_slice(b, value);
	buf_append(b, "\r\n", 2);
}

struct answer_lines {
	struct buf *b;
	struct slice block;
};

static void answer_cors(void *arg, struct slice name, struct slice value)
{
	const struct answer_lines *l = arg;

	if (!answer_overrides(l->block, name))
		answer_line(l->b, name, value);
}

/* Where the time went, for who asks: server-timing as browsers read it, in milliseconds. */
static void answer_timing(const struct call *c, struct buf *b)
{
	const struct request *r = &c->request;
	uint64_t now_ns;

	if (!r->sent_ns || !r->timed)
		return;
	now_ns = clock_now_ns();
	buf_printf(b, "server-timing: read;dur=%.3f, queue;dur=%.3f, batch;dur=%.3f;desc=\"%u\", ",
		   (double)(r->queued_ns - c->x->began_ns) / 1e6,
		   (double)(r->sent_ns - r->queued_ns) / 1e6, (double)(now_ns - r->sent_ns) / 1e6,
		   r->batched);
	if (r->handled_ns)
		buf_printf(b, "handler;dur=%.3f, ", (double)r->handled_ns / 1e6);
	buf_printf(b, "total;dur=%.3f\r\n", (double)(now_ns - c->x->began_ns) / 1e6);
}

static void answer_trace(const struct trace *t, struct buf *b)
{
	char text[TRACEPARENT_LEN];

	traceparent_write(t, text);
	answer_line(b, SLICE("traceresponse"), slice_make(text, sizeof(text)));
}

/* `block`: the handler's own headers, which win over ours. */
static void answer_headers(struct call *c, struct buf *b, struct slice type, struct slice block)
{
	struct slice rest = block, name, value;
	struct answer_lines lines = { b, block };

	buf_append(b, "x-request-id: ", 14);
	buf_append(b, c->uuid, strlen(c->uuid));
	buf_append(b, "\r\n", 2);
	answer_put_standard(b, block);
	cors_each(&c->api->cors, &c->x->head, &lines, answer_cors);
	answer_timing(c, b);
	if (c->request.trace && c->api->fleet->tracer->tells)
		answer_trace(c->request.trace, b);
	if (c->retry_after_s)
		buf_printf(b, "Retry-After: %u\r\n", c->retry_after_s);
	if (type.n && !answer_overrides(block, SLICE("content-type")))
		answer_line(b, SLICE("content-type"), type);
	while (frame_header_next(&rest, &name, &value) > 0)
		if (!answer_is_reserved(name))
			answer_line(b, name, value);
}

void call_put_headers(struct call *c, const char *type, struct buf *out)
{
	answer_headers(c, out, slice_str(type), SLICE_NULL);
}

static struct buf *answer_scratch(void)
{
	static struct buf scratch = BUF_INIT(ANSWER_HEADERS_MAX);

	buf_clear(&scratch);
	return &scratch;
}

static void answer_send(struct call *c, int status, struct slice reason, struct slice type,
			struct slice headers, struct payload body)
{
	struct buf *lines = answer_scratch();
	struct answer a = { .status = status, .reason = reason };

	answer_headers(c, lines, type, headers);
	a.headers = buf_slice(lines);
	exchange_reply(c->x, &a, body);
}

/* A body of ours on its way to a client, who decides how long that takes. */
struct answer_copy {
	struct budget *budget;
	size_t charged;
	char text[];
};

static void answer_copy_gone(void *arg)
{
	struct answer_copy *k = arg;

	budget_give(k->budget, k->charged);
	free(k);
}

/* False: there is no memory for it, and that was answered. */
static bool answer_copy(struct call *c, struct slice text, struct budget *spare,
			struct payload *ret)
{
	size_t charged = sizeof(struct answer_copy) + text.n;
	struct budget *budget = c->api->budget;
	struct answer_copy *k;

	if (text.n <= ANSWER_SMALL) {
		*ret = (struct payload){ region_copy(&c->x->region, text).p, text.n, NULL, NULL };
		return true;
	}
	if (!budget_take(budget, charged)) {
		budget = spare;
		if (!spare || !budget_take(spare, charged)) {
			call_no_memory(c);
			return false;
		}
	}
	k = mem_alloc(charged);
	*k = (struct answer_copy){ .budget = budget, .charged = charged };
	memcpy(k->text, text.p, text.n);
	*ret = (struct payload){ k->text, text.n, answer_copy_gone, k };
	return true;
}

/* Who may look after the server gets an answer whatever the others ask for. */
static struct budget *answer_spare(struct call *c)
{
	return c->door->roles & (API_MANAGEMENT | API_METRICS) ? &c->api->spare : NULL;
}

void call_answer(struct call *c, int status, const char *type, struct slice text)
{
	call_answer_with(c, status, type, SLICE_NULL, text);
}

void call_answer_with(struct call *c, int status, const char *type, struct slice headers,
		      struct slice text)
{
	struct payload body;

	if (!c->x || !answer_copy(c, text, answer_spare(c), &body))
		return;
	answer_send(c, status, SLICE_NULL,
		    text.n || type ? slice_str(type ? type : "application/json") : SLICE_NULL,
		    headers, body);
}

static struct slice answer_format(struct call *c, const char *fmt, va_list ap)
{
	va_list again;
	size_t n, room;
	char *text;

	va_copy(again, ap);
	n = (size_t)vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	room = MIN(n, CALL_MESSAGE_MAX) + 1;
	text = region_bytes(&c->region, room);
	vsnprintf(text, room, fmt, ap);
	return utf8_cut(slice_make(text, room - 1), CALL_MESSAGE_MAX - 1);
}

void call_status(struct call *c, int status, const char *text)
{
	struct buf b = BUF_INIT(ANSWER_TEXT_MAX);

	json_status(&b, slice_str(text));
	call_answer(c, status, NULL, buf_slice(&b));
	buf_finish(&b);
}

void call_error(struct call *c, int status, const char *type, const char *fmt, ...)
{
	struct buf b = BUF_INIT(ANSWER_TEXT_MAX);
	va_list ap;

	va_start(ap, fmt);
	dialect_of(c)->error(&b, status, type, answer_format(c, fmt, ap));
	va_end(ap);
	call_answer(c, status, dialect_of(c)->error_media, buf_slice(&b));
	buf_finish(&b);
}

void call_outcome(struct call *c, const struct outcome *o)
{
	if (o->type)
		call_error(c, o->status, o->type, "%s", o->message);
	else
		call_status(c, o->status, o->message);
}

void call_not_found(struct call *c)
{
	call_error(c, 404, "ResourceNotFoundException",
		   "Requested resource is not found, please refer to API document.");
}

void call_not_allowed(struct call *c)
{
	call_error(c, 405, "MethodNotAllowedException",
		   "Requested method is not allowed, please refer to API document.");
}

void call_no_memory(struct call *c)
{
	call_error(c, 503, "ServiceUnavailableException",
		   "The server's memory budget is used up; try again later.");
}

void call_model_not_found(struct call *c, struct slice model)
{
	const char *absence = ready_absence(&c->api->ready, model), *meant = NULL;
	struct guess g = guess_begin(model);

	if (absence && c->api->settings->dev) {
		call_error(c, 503, "ServiceUnavailableException", "%s", absence);
		return;
	}
	if (absence) {
		call_error(c, 404, "ModelNotFoundException",
			   "Model not found: %.*s. It could not be loaded at the start: %s",
			   SLICE_ARG(model), absence);
		return;
	}

	map_for_each (e, &c->api->fleet->store.models) {
		const struct model *m = e->value;

		if (guess_next(&g, slice_str(m->name)))
			meant = m->name;
	}
	call_error(c, 404, "ModelNotFoundException", "Model not found: %.*s%s%s%s",
		   SLICE_ARG(model), meant ? ". Did you mean '" : "", meant ? meant : "",
		   meant ? "'?" : "");
}

void call_version_not_found(struct call *c, struct slice model, struct slice version)
{
	call_error(c, 404, "ModelVersionNotFoundException",
		   "Model version: %.*s does not exist for model: %.*s", SLICE_ARG(version),
		   SLICE_ARG(model));
}

struct version *call_find_version(struct call *c, struct slice model, struct slice version)
{
	struct model *m = store_model(&c->api->fleet->store, model);
	struct version *v = m ? model_version(m, version) : NULL;

	if (!m)
		call_model_not_found(c, model);
	else if (!v)
		call_version_not_found(c, model, version);
	return v;
}

/* ---- replies of workers ---- */

void call_send(struct call *c, const struct reply *reply)
{
	struct payload body = { reply->body.p, reply->body.n, reply->release, reply->arg };

	if (!reply->release && !answer_copy(c, reply->body, NULL, &body))
		return;
	answer_send(c, reply->status, reply->phrase.n ? reply->phrase : SLICE_NULL, reply->type,
		    reply->headers, body);
}

void call_begin(struct call *c, const struct reply *reply, struct slice name, struct slice value)
{
	struct buf *lines = answer_scratch();
	struct answer a = { .status = reply->status,
			    .reason = reply->phrase.n ? reply->phrase : SLICE_NULL };

	assert(!c->streaming);
	answer_headers(c, lines, reply->type, reply->headers);
	if (name.n && !answer_overrides(reply->headers, name))
		answer_line(lines, name, value);
	a.headers = buf_slice(lines);
	exchange_begin(c->x, &a);
	c->streaming = true;
}

void call_reply(struct request *r, const struct reply *reply)
{
	struct call *c = r->owner;

	if (reply->final)
		c->running = false;
	/* Who has left has had no answer; of one that was given up that is counted already. */
	if (reply->final && c->x && !c->abandoned)
		telemetry_answer(&c->version->metrics, reply->status);
	deadline_stop(c);
	if (!c->x || c->abandoned) {
		if (reply->release)
			reply->release(reply->arg);
		if (!reply->final)
			version_stream_taken(c->version, r, reply->body.n);
	} else if (!c->streaming && reply->final) {
		dialect_of(c)->reply(c, reply);
	} else {
		dialect_of(c)->piece(c, reply);
	}
	call_maybe_free(c);
}

uint64_t call_delivered(const struct request *r)
{
	const struct call *c = r->owner;

	return c->x ? exchange_delivered(c->x) : r->taken;
}
