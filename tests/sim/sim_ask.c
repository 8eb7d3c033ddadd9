/* SPDX-License-Identifier: Apache-2.0 */
#include "sim_ask.h"

#include <stdio.h>
#include <string.h>

#include "sim.h"

/* A body of any kind may hide this: who takes it for a request answers once too often. */
#define ASK_HIDDEN "DELETE /models/echo/1.0 HTTP/1.1\r\nHost: hidden\r\n\r\n"

static void ask_init(struct sim_ask *a)
{
	*a = (struct sim_ask){ 0 };
	buf_init(&a->bytes, 3 * SIM_REQUEST_MAX);
}

static void ask_allow(struct sim_ask *a, int status)
{
	for (unsigned i = 0; i < ASK_STATUSES; i++) {
		if (a->allowed[i])
			continue;
		a->allowed[i] = status;
		return;
	}
}

static bool ask_is_in(const int *list, size_t n, int status)
{
	for (size_t i = 0; i < n && list[i]; i++)
		if (list[i] == status)
			return true;
	return false;
}

/* What the weather excuses. */
bool ask_allows(const struct sim *s, const struct sim_ask *a, int status)
{
	const struct weather *w = &s->weather;
	bool workers = s->ending || w->deaths || w->stalls || w->lies || w->bad_starts ||
		       w->no_descriptors || w->jumps;

	if (ask_is_in(a->allowed, ASK_STATUSES, status))
		return true;
	switch (status) {
	case 404:
		return a->kind != ASK_SIMPLE &&
		       (s->ending || w->manage || w->bad_starts || w->no_descriptors);
	case 408:
		return w->slow_clients || w->jumps;
	case 500:
		return workers || w->manage;
	case 503:
		return workers || w->manage || w->tight_memory || w->short_queue;
	case 504:
		return workers;
	case 507:
		return workers || w->tight_memory;
	case 413:
		return w->tight_memory;
	default:
		return false;
	}
}

/* ---- heads and bodies ---- */

/* Of every few one is in a trace; not drawn, see sim_trace.c. */
static void ask_trace(const struct sim *s, struct sim_ask *a)
{
	unsigned long long n = (unsigned long long)s->next_token + 1;

	if (s->seed % 2 == 0 && n % 3 == 0)
		buf_printf(&a->bytes,
			   "traceparent: 00-%032llx-%016llx-0%llu\r\ntracestate: a=%llu\r\n", n, n,
			   n / 3 % 2, n);
}

static void ask_head(struct sim *s, struct sim_ask *a, const char *method, const char *target)
{
	struct sim_random *r = &s->random;

	a->http10 = random_chance(r, 60);
	a->last = a->http10 || random_chance(r, 60);
	a->no_body = strcmp(method, "HEAD") == 0;
	buf_printf(&a->bytes, "%s %s HTTP/1.%d\r\n", method, target, !a->http10);
	buf_puts(&a->bytes, "Host: simulated\r\n");
	if (a->last && !a->http10)
		buf_puts(&a->bytes, "Connection: close\r\n");
	ask_trace(s, a);
	if (random_chance(r, 100))
		buf_printf(&a->bytes, "X-Pad: %0*d\r\n", 1 + (int)random_size(r, 12000), 7);
	if (s->weather.bad_requests && !a->no_body && random_chance(r, 30)) {
		/* More than a head may have, or a frame. */
		buf_printf(&a->bytes, "X-Pad: %0*d\r\n", 1 + (int)random_size(r, 100000), 7);
		ask_allow(a, 431);
		a->last = true;
	}
}

static void ask_put_chunks(struct sim *s, struct sim_ask *a, struct slice body)
{
	size_t at = 0;

	while (at < body.n) {
		size_t n = 1 + random_size(&s->random, body.n - at - 1);

		buf_printf(&a->bytes,
			   random_chance(&s->random, 100) ? "%zX;x=\"y\"\r\n" : "%zx\r\n", n);
		buf_put_slice(&a->bytes, slice_make(body.p + at, n));
		buf_puts(&a->bytes, "\r\n");
		at += n;
	}
	buf_puts(&a->bytes,
		 random_chance(&s->random, 100) ? "0\r\nX-Trailer: 1\r\n\r\n" : "0\r\n\r\n");
}

/* Ends the head, and adds the body in one of the ways there are. */
static void ask_body(struct sim *s, struct sim_ask *a, struct slice body)
{
	bool chunked = !a->http10 && random_chance(&s->random, 300);

	a->expects = !a->http10 && random_chance(&s->random, 80);
	if (a->expects)
		buf_puts(&a->bytes, "Expect: 100-continue\r\n");
	if (chunked)
		buf_puts(&a->bytes, "Transfer-Encoding: chunked\r\n\r\n");
	else
		buf_printf(&a->bytes, "Content-Length: %zu\r\n\r\n", body.n);
	a->head = a->bytes.n;
	if (chunked)
		ask_put_chunks(s, a, body);
	else
		buf_put_slice(&a->bytes, body);
}

/* ---- a model ---- */

/* Of an answer. Some streams are much longer than what may be on its way of one. */
static size_t ask_size(struct sim_random *r, bool big, unsigned pieces)
{
	if (big && pieces > 1 && random_chance(r, 600))
		return random_below(r, SIM_REQUEST_MAX);
	return random_size(r, big ? SIM_REQUEST_MAX / 2 : 20000);
}

static void ask_plan(struct sim *s, const struct sim_model *m, struct ask_plan *p)
{
	static const unsigned statuses[] = { 200, 200, 200, 200, 201, 204, 304, 404, 500, 503 };
	struct sim_random *r = &s->random;
	bool big = s->weather.big_bodies || random_chance(r, 20);
	unsigned pieces = m->streams ? 1 + random_below(r, 8) : 1;

	*p = (struct ask_plan){ .token = s->seed << 40 | ++s->next_token,
				.status = statuses[random_below(r, ARRAY_LEN(statuses))],
				.size = ask_size(r, big, pieces),
				.pieces = pieces };
	if (p->status == 204 || p->status == 304)
		p->pieces = 1;
}

static void ask_target(struct sim *s, const struct sim_model *m, char *target, size_t room)
{
	static const char *const forms[] = { "/predictions/%s/%s", "/predictions/%s/%s",
					     "/%s/%s/predict", "/explanations/%s/%s" };
	static const char *const defaults[] = { "/predictions/%s", "/models/%s/invoke",
						"/%s/predict", "/v1/models/%s:predict",
						"/invocations?model_name=%s" };
	const char *name = m->name;

	if (random_chance(&s->random, 700))
		snprintf(target, room, forms[random_below(&s->random, ARRAY_LEN(forms))], name,
			 m->version);
	else
		snprintf(target, room, defaults[random_below(&s->random, ARRAY_LEN(defaults))],
			 name);
}

static void ask_plan_bytes(struct sim *s, struct sim_ask *a, struct buf *b, size_t max)
{
	plan_put(b, &a->plan);
	token_put(b, a->plan.token, 0, random_size(&s->random, max));
}

/* The same in a form, among other fields. */
static void ask_form(struct sim *s, struct sim_ask *a, struct buf *b)
{
	unsigned fields = random_below(&s->random, 5);
	size_t names = s->weather.bad_requests ? 30000 : 100;

	/* All names together may be more than a frame takes. */
	if (s->weather.bad_requests) {
		ask_allow(a, 400);
		ask_allow(a, 413);
		ask_allow(a, 431);
	}
	buf_puts(&a->bytes, "Content-Type: multipart/form-data; boundary=\"=-simulated\"\r\n");
	for (unsigned i = 0; i < fields; i++)
		buf_printf(b,
			   "--=-simulated\r\nContent-Disposition: form-data; "
			   "name=\"%0*u\"\r\n\r\n%0*d\r\n",
			   1 + (int)random_size(&s->random, names), i,
			   1 + (int)random_size(&s->random, 300), 7);
	buf_puts(b, "--=-simulated\r\nContent-Disposition: form-data; name=\"plan\"; "
		    "filename=\"p\"\r\nContent-Type: application/octet-stream\r\n\r\n");
	ask_plan_bytes(s, a, b, 3000);
	buf_puts(b, "\r\n--=-simulated--\r\n");
}

/* The first ids are those of most requests: so some sequences go on while others are begun. Which
 * ids are the first moves on: a sequence has its first request once. */
static void ask_sequence(struct sim *s, const struct sim_model *m, struct sim_ask *a)
{
	unsigned of_10 = random_below(&s->random, 10), id;

	if (s->first_sequence + m->sequences < PROCESS_LANES - 1 && random_chance(&s->random, 150))
		s->first_sequence++;
	id = s->first_sequence +
	     random_below(&s->random, 1 + random_below(&s->random, m->sequences));
	buf_printf(&a->bytes, "ts_request_sequence_id: s%u\r\n", id);
	if (s->weather.unmarked)
		return;
	if (of_10 == 0) {
		buf_puts(&a->bytes, "ts_request_sequence_end: true\r\n");
		s->ended[id + 1] = true;
	} else if (of_10 < 3) {
		buf_puts(&a->bytes, "ts_request_sequence_start: true\r\n");
	}
}

static const struct sim_model *ask_model(struct sim *s)
{
	bool talks = s->weather.talks && random_chance(&s->random, 800);

	return &s->models[talks ? 0 : random_below(&s->random, s->n_models)];
}

static void ask_predict(struct sim *s, struct sim_ask *a)
{
	const struct sim_model *m = ask_model(s);
	struct buf body = BUF_INIT(SIM_REQUEST_MAX);
	bool big = s->weather.big_bodies || random_chance(&s->random, 20);
	char target[128];

	a->kind = ASK_PREDICT;
	ask_plan(s, m, &a->plan);
	ask_target(s, m, target, sizeof(target));
	ask_head(s, a, "POST", target);
	if (m->client_timeout_ms)
		ask_allow(a, 504);
	if (m->job_ticket || m->sequences || m->latency_goal_ms)
		ask_allow(a, 503);
	if (m->latency_goal_ms)
		ask_allow(a, 429);
	if (m->sequences && random_chance(&s->random, 800))
		ask_sequence(s, m, a);
	if (random_chance(&s->random, 200))
		ask_form(s, a, &body);
	else
		ask_plan_bytes(s, a, &body, big ? SIM_REQUEST_MAX - 128 : 5000);
	ask_body(s, a, buf_slice(&body));
	buf_finish(&body);
}

static void ask_empty(struct sim *s, struct sim_ask *a)
{
	const struct sim_model *m = &s->models[random_below(&s->random, s->n_models)];
	char target[128];

	a->kind = ASK_EMPTY;
	snprintf(target, sizeof(target), "/predictions/%s", m->name);
	ask_head(s, a, random_chance(&s->random, 500) ? "GET" : "POST", target);
	buf_puts(&a->bytes, "\r\n");
	ask_allow(a, 200);
	ask_allow(a, m->client_timeout_ms ? 504 : 200);
	ask_allow(a, m->job_ticket || m->sequences || m->latency_goal_ms ? 503 : 200);
	ask_allow(a, m->latency_goal_ms ? 429 : 200);
}

/* ---- what the front answers by itself ---- */

static void ask_simple(struct sim *s, struct sim_ask *a)
{
	static const struct {
		const char *method, *target;
		int status, other;
	} asks[] = {
		{ "GET", "/ping", 200, 500 },
		{ "HEAD", "/ping", 200, 500 },
		{ "POST", "/ping", 200, 500 },
		{ "GET", "/nowhere/at/all", 404, 0 },
		{ "POST", "/predictions/none", 404, 0 },
		{ "PUT", "/models", 405, 0 },
		{ "GET", "/livez", 200, 0 },
		{ "GET", "/readyz", 200, 503 },
		{ "GET", "/models", 200, 0 },
		{ "GET", "/models?limit=1", 200, 0 },
		{ "GET", "/metrics", 200, 0 },
		{ "OPTIONS", "/", 200, 405 },
		{ "GET", "/%zz", 400, 0 },
		{ "GET", "/console/api/figures", 200, 0 },
		{ "GET", "/console/api/logs?lines=5", 200, 503 },
		{ "GET", "/console/web/app.js", 200, 0 },
	};
	unsigned i = random_below(&s->random, ARRAY_LEN(asks));
	struct buf body = BUF_INIT(SIM_REQUEST_MAX);

	a->kind = ASK_SIMPLE;
	ask_head(s, a, asks[i].method, asks[i].target);
	ask_allow(a, asks[i].status);
	ask_allow(a, asks[i].other ? asks[i].other : asks[i].status);
	if (s->weather.bad_requests && random_chance(&s->random, 600)) {
		buf_puts(&body, ASK_HIDDEN);
		token_put(&body, 1, 0, random_size(&s->random, 100000));
		ask_body(s, a, buf_slice(&body));
	} else {
		buf_puts(&a->bytes, "\r\n");
	}
	buf_finish(&body);
}

/* ---- models come and go ---- */

static void ask_manage_target(struct sim *s, const struct sim_model *m, unsigned what,
			      const char **method, char *target, size_t room)
{
	const char *sync = random_chance(&s->random, 500) ? "true" : "false";
	unsigned n = random_below(&s->random, 4);

	*method = "GET";
	switch (what) {
	case 0:
		*method = "POST";
		snprintf(target, room, "/models?url=%s&initial_workers=%u&synchronous=%s", m->url,
			 n, sync);
		return;
	case 1:
		*method = "DELETE";
		snprintf(target, room, "/models/%s/%s", m->name, m->version);
		return;
	case 2:
		*method = "PUT";
		snprintf(target, room, "/models/%s/%s?min_worker=%u&max_worker=%u&synchronous=%s",
			 m->name, m->version, n, n, sync);
		return;
	case 3:
		*method = "PUT";
		snprintf(target, room, "/models/%s/%s/set-default", m->name, m->version);
		return;
	case 4:
		snprintf(target, room, "/models/%s/all", m->name);
		return;
	default:
		snprintf(target, room, "/models/%s?customized=true", m->name);
	}
}

static void ask_manage_bytes(struct sim *s, struct sim_ask *a, const char *method,
			     const char *target)
{
	static const int may[] = { 200, 202, 400, 403, 404, 408, 409, 500, 503, 507 };

	ask_init(a);
	a->kind = ASK_MANAGE;
	ask_head(s, a, method, target);
	buf_puts(&a->bytes, "\r\n");
	a->head = a->bytes.n;
	for (size_t i = 0; i < ARRAY_LEN(may); i++)
		ask_allow(a, may[i]);
}

void ask_manage(struct sim *s, struct sim_ask *a)
{
	/* The one that everybody talks to is left to who knows when (sim_manager.c). */
	unsigned first = s->weather.talks;
	const struct sim_model *m =
		&s->models[first + random_below(&s->random, s->n_models - first)];
	const char *method;
	char target[128];

	ask_manage_target(s, m, random_below(&s->random, 6), &method, target, sizeof(target));
	ask_manage_bytes(s, a, method, target);
}

void ask_scale(struct sim *s, struct sim_ask *a, const struct sim_model *m, unsigned workers)
{
	char target[128];

	snprintf(target, sizeof(target),
		 "/models/%s/%s?min_worker=%u&max_worker=%u&synchronous=false", m->name, m->version,
		 workers, workers);
	ask_manage_bytes(s, a, "PUT", target);
}

/* ---- what is not allowed ---- */

static void ask_bad(struct sim *s, struct sim_ask *a)
{
	static const struct {
		const char *text;
		int status;
	} asks[] = {
		{ "GET /ping\r\n\r\n", 400 },
		{ "GET /ping HTTP/9.9\r\nHost: a\r\n\r\n", 505 },
		{ "G@T /ping HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
		{ "GET /ping HTTP/1.1\r\nHost: a\r\nBad Name: 1\r\n\r\n", 400 },
		{ "POST /ping HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
		  "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		  400 },
		{ "POST /ping HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: "
		  "2\r\n\r\nabc",
		  400 },
		{ "POST /predictions/echo/1.0 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
		  "chunked\r\n\r\nzz\r\n",
		  400 },
		{ "POST /predictions/echo/1.0 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
		  "chunked\r\n\r\nffffffffffffffff\r\n",
		  413 },
		{ "POST /predictions/echo/1.0 HTTP/1.1\r\nHost: a\r\nContent-Length: "
		  "999999999999\r\n\r\n",
		  413 },
		{ "POST /ping HTTP/1.1\r\nHost: a\r\nExpect: a miracle\r\nContent-Length: "
		  "3\r\n\r\nabc",
		  417 },
		{ "\r\n\r\n\1\2\3\r\n\r\n", 400 },
	};
	static const int may[] = { 400, 404, 405, 413, 414, 417, 431, 501, 505 };
	unsigned i = random_below(&s->random, ARRAY_LEN(asks) + 1);

	a->kind = ASK_BAD;
	a->last = a->ends = true;
	if (i == ARRAY_LEN(asks))
		buf_printf(&a->bytes, "GET /%0*d HTTP/1.1\r\n\r\n", 70000, 1);
	else
		buf_puts(&a->bytes, asks[i].text);
	for (size_t k = 0; k < ARRAY_LEN(may); k++)
		ask_allow(a, may[k]);
}

/* ---- */

void ask_draw(struct sim *s, struct sim_ask *a)
{
	unsigned of_1000 = random_below(&s->random, 1000);

	ask_init(a);
	if (s->weather.bad_requests && of_1000 < 60)
		ask_bad(s, a);
	else if (s->weather.manage && of_1000 < 120)
		ask_manage(s, a);
	else if (of_1000 < 300)
		ask_simple(s, a);
	else if (of_1000 < 330)
		ask_empty(s, a);
	else
		ask_predict(s, a);
	if (!a->head)
		a->head = a->bytes.n;
}

void ask_get(struct sim_ask *a, const char *path, int status)
{
	ask_init(a);
	a->kind = ASK_SIMPLE;
	a->last = true;
	buf_printf(&a->bytes, "GET %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", path);
	a->head = a->bytes.n;
	ask_allow(a, status);
}

void ask_finish(struct sim_ask *a)
{
	buf_finish(&a->bytes);
}
