/* SPDX-License-Identifier: Apache-2.0 */
#include "api/call.h"

#include <string.h>

#include "api/authorize.h"
#include "api/dialect.h"
#include "api/form.h"
#include "api/handlers.h"
#include "api/ident.h"
#include "api/refusal.h"
#include "api/route.h"
#include "api/scrape.h"
#include "api/trace.h"
#include "auth/tokens.h"
#include "base/clock.h"
#include "base/mem.h"
#include "log/log.h"
#include "loop/turn.h"

#define API_SPARE ((uint64_t)16 << 20) /* some pages of metrics */
#define CALLS_KEPT 256
#define CALLS_BEGUN 256 /* of those that waited for the start, in one turn of the loop */
#define CALL_SMALL_BODY ((uint64_t)64 << 10) /* read in one go, on the loop */

static struct call *call_take(struct api *a)
{
	struct list *n = list_pop(&a->free_calls);
	struct call *c;

	if (n) {
		a->n_free--;
		c = container_of(n, struct call, link);
	} else {
		c = mem_new(struct call);
		region_init(&c->region);
		list_init(&c->link);
		list_init(&c->timed);
	}
	return c;
}

struct call *call_create(struct api_door *d, struct exchange *x)
{
	struct call *c = call_take(d->api);

	c->api = d->api;
	c->door = d;
	c->x = x;
	c->route = NULL;
	c->n_segments = c->rest = 0;
	c->model = c->version_name = SLICE_NULL;
	c->running = c->streaming = c->abandoned = false;
	c->retry_after_s = 0;
	c->version = NULL;
	c->waiting = NULL;
	c->form = NULL;
	c->left = NULL;
	c->extra = BLOCK_NONE;
	body_init(&c->body, d->api->fleet->pool, d->api->settings->max_request_size);
	memset(&c->request, 0, sizeof(c->request));
	list_init(&c->request.link);
	ident_take(c, &x->head);
	if (d->api->fleet->tracer)
		trace_take(c);
	x->user = c;
	return c;
}

void call_maybe_free(struct call *c)
{
	struct api *a = c->api;

	if (c->x || c->running || c->waiting)
		return;
	ident_return(c);
	body_finish(&c->body);
	pool_free(a->fleet->pool, &c->extra);
	if (a->n_free >= CALLS_KEPT) {
		region_finish(&c->region);
		free(c);
		return;
	}
	region_reset(&c->region);
	list_push_back(&a->free_calls, &c->link);
	a->n_free++;
}

/* Splits the path; trailing empty segments do not count. False after a 400 or 404. */
static bool call_split_path(struct call *c)
{
	struct slice rest = c->x->head.path;

	while (rest.n && rest.p[rest.n - 1] == '/')
		rest.n--;
	if (rest.n && rest.p[0] == '/') {
		rest.p++;
		rest.n--;
	} else if (rest.n) {
		call_not_found(c); /* "*", or an authority */
		return false;
	}
	while (rest.n) {
		struct slice raw = slice_cut(&rest, '/');

		if (c->n_segments == CALL_SEGMENTS_MAX) {
			call_not_found(c);
			return false;
		}
		if (!http_unescape(&c->region, raw, false, &c->segments[c->n_segments++])) {
			call_error(c, 400, "BadRequestException", "The path has a bad escape: %.*s",
				   SLICE_ARG(c->x->head.path));
			return false;
		}
	}
	return true;
}

static void call_stopping(struct call *c)
{
	call_error(c, 503, "ServiceUnavailableException", "The server is stopping");
}

bool call_too_early(struct call *c)
{
	struct api *a = c->api;

	if (!a->starting)
		return false;
	assert(!list_linked(&c->link));
	if (a->stopping)
		call_stopping(c);
	else
		list_push_back(&a->early, &c->link);
	return true;
}

static void call_go(struct call *c)
{
	if (!c->route->dialect || !form_read_ahead(c, c->route->run))
		c->route->run(c);
}

static void call_run(struct call *c)
{
	if (c->route->at_once || !call_too_early(c))
		call_go(c);
}

static void call_head(void *ctx, struct exchange *x)
{
	struct call *c = call_create(ctx, x);
	uint64_t small = MIN(CALL_SMALL_BODY, c->body.max);

	if (cors_is_preflight(&c->api->cors, &x->head)) {
		call_answer(c, 200, NULL, SLICE_NULL);
		return;
	}
	if (!call_split_path(c))
		return;
	c->route = route_find(c);
	if (!c->route) {
		call_not_found(c);
		return;
	}
	trace_route(c);
	if (!authorize_call(c) || (c->route->check && !c->route->check(c)))
		return;
	if (x->head.content_length == 0 || c->route->body == ROUTE_NO_BODY) {
		call_run(c);
		return;
	}
	if (c->route->body == ROUTE_SMALL_BODY)
		c->body.max = small;
	x->sink = &c->body.sink;
}

static void call_body(void *ctx, struct exchange *x)
{
	struct call *c = x->user;

	(void)ctx;
	/* Already answered when the body was not wanted. */
	if (x->sink)
		call_run(c);
}

static void call_done(void *ctx, struct exchange *x, enum exchange_end how)
{
	struct call *c = x->user;
	uint64_t took_ms = (clock_now_ns() - x->began_ns) / NS_PER_MS;
	struct log_subject about;

	(void)ctx;
	if (trace_is_sampled(c->request.trace))
		trace_end(c, how);
	if (x->status) {
		about = tracer_subject(c->uuid, c->request.trace);
		log_access(exchange_peer(x), x->head.method, x->head.target, x->head.minor,
			   x->status, took_ms, &about);
		telemetry_status(&c->api->fleet->telemetry, x->status);
	}
	c->x = NULL;
	list_remove(&c->link);
	deadline_stop(c);
	if (c->running && !c->abandoned && version_cancel(c->version, &c->request))
		c->running = false;
	if (c->left)
		c->left(c);
	call_maybe_free(c);
}

/* What net finds wrong is said in the route's dialect, too. */
static void call_refusal(void *ctx, struct exchange *x, int status, const char *why,
			 struct buf *headers, struct buf *body)
{
	struct api_door *door = ctx;
	struct call *c = !x ? NULL : x->user ? x->user : call_create(door, x);
	const struct dialect *d = c ? dialect_of(c) : &dialect_predictions;
	struct buf text = BUF_INIT(1024);

	refusal_explain(door->api, x, status, why, &text);
	d->error(body, status, dialect_error_type(status), buf_slice(&text));
	if (c) {
		struct log_subject about = tracer_subject(c->uuid, c->request.trace);

		log_about(LOG_SERVER, LOG_WARN, NULL, "sconce", &about,
			  "Request %s is refused with %d: %s", c->uuid, status, buf_cstr(&text));
		call_put_headers(c, d->error_media, headers);
	} else {
		buf_printf(headers, "content-type: %s\r\n", d->error_media);
	}
	buf_finish(&text);
}

void api_door_init(struct api_door *d, struct api *a, unsigned roles)
{
	*d = (struct api_door){ .api = a,
				.roles = roles,
				.handler = { .ctx = d,
					     .head = call_head,
					     .body = call_body,
					     .done = call_done,
					     .refusal = call_refusal } };
}

struct api *api_create(struct fleet *fleet, struct tokens *tokens)
{
	struct api *a = mem_new(struct api);

	a->fleet = fleet;
	a->settings = fleet->settings;
	a->budget = fleet->budget;
	a->spare.limit = API_SPARE;
	a->tokens = tokens;
	list_init(&a->free_calls);
	list_init(&a->early);
	lane_init(&a->forms, fleet->loop);
	lane_init(&a->long_forms, fleet->loop);
	lane_init(&a->console, fleet->loop);
	a->began_ns = clock_now_ns();
	map_init(&a->idents);
	a->begin = mem_new(uv_timer_t);
	a->begin->data = a;
	uv_timer_init(fleet->loop, a->begin);
	ready_init(&a->ready, fleet);
	cors_init(&a->cors, fleet->settings);
	deadlines_init(&a->deadlines, fleet->loop);
	scrape_init(a);
	return a;
}

/* ---- the start ---- */

static void call_begin_some(uv_timer_t *t)
{
	struct api *a = t->data;
	struct list *n;

	TURN(t);
	for (unsigned i = 0; i < CALLS_BEGUN && (n = list_pop(&a->early)); i++) {
		struct call *c = container_of(n, struct call, link);

		if (a->starting)
			call_stopping(c);
		else
			call_go(c);
	}
	if (list_empty(&a->early))
		uv_timer_stop(t);
}

static void call_begin_closed(uv_handle_t *h)
{
	free(h);
}

void api_starts(struct api *a)
{
	a->starting = true;
}

static void call_begin_early(struct api *a)
{
	if (!list_empty(&a->early))
		uv_timer_start(a->begin, call_begin_some, 0, 1);
}

void api_started(struct api *a)
{
	a->starting = false;
	call_begin_early(a);
}

void api_stops(struct api *a)
{
	a->stopping = true;
	call_begin_early(a);
}

void api_counts(struct api *a, const struct net *net)
{
	a->net = net;
}

struct ready *api_ready(struct api *a)
{
	return &a->ready;
}

struct api *api_destroy(struct api *a)
{
	struct list *n;

	/* A thread may still work for a client that has left. */
	while (a->forms.n || a->long_forms.n || a->console.n ||
	       (a->tokens && tokens_renewing(a->tokens)))
		uv_run(a->fleet->loop, UV_RUN_ONCE);
	lane_finish(&a->forms);
	lane_finish(&a->long_forms);
	lane_finish(&a->console);
	while ((n = list_pop(&a->free_calls))) {
		struct call *c = container_of(n, struct call, link);

		region_finish(&c->region);
		free(c);
	}
	assert(list_empty(&a->early) && !a->spare.used);
	map_finish(&a->idents);
	uv_close((uv_handle_t *)a->begin, call_begin_closed);
	ready_finish(&a->ready);
	cors_finish(&a->cors);
	deadlines_finish(&a->deadlines);
	free(a);
	return NULL;
}
