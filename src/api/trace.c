/* SPDX-License-Identifier: Apache-2.0 */
#include "api/trace.h"

#include <stdio.h>
#include <string.h>

#include "api/route.h"
#include "base/clock.h"
#include "fleet/fleet.h"

#define TRACE_FACTS 16

static const uint8_t trace_no_span[SPAN_ID_LEN];

static bool trace_has_parent(const struct trace *t)
{
	return memcmp(t->parent, trace_no_span, SPAN_ID_LEN) != 0;
}

/* What the client says of its trace; false: nothing that counts. */
static bool trace_read(struct call *c, struct trace *ret)
{
	const struct http_head *head = &c->x->head;
	struct slice found = SLICE_NULL;
	unsigned n = 0;

	for (size_t i = 0; i < head->n_headers; i++)
		if (slice_ieq(head->headers[i].name, SLICE("traceparent"))) {
			found = head->headers[i].value;
			n++;
		}
	return n == 1 && traceparent_read(found, ret);
}

static struct slice trace_read_state(struct call *c)
{
	const struct http_head *head = &c->x->head;
	struct tracestate state;

	state.n = state.members = 0;
	state.broken = state.full = false;
	for (size_t i = 0; i < head->n_headers; i++)
		if (slice_ieq(head->headers[i].name, SLICE("tracestate")))
			tracestate_add(&state, head->headers[i].value);
	return tracestate_text(&state).n ? region_copy(&c->region, tracestate_text(&state))
					 : SLICE_NULL;
}

void trace_take(struct call *c)
{
	struct tracer *t = c->api->fleet->tracer;
	struct trace parent;
	bool known = trace_read(c, &parent);

	trace_begin(&c->trace, known ? &parent : NULL, &t->sampler);
	if (known && trace_is_sampled(&c->trace))
		c->trace.state = trace_read_state(c);
	c->request.trace = &c->trace;
}

/* Does it only look? */
static bool trace_looks(const struct call *c)
{
	struct slice method = c->x->head.method;

	return !c->route->dialect &&
	       (c->route->at_once || slice_eq(method, SLICE("GET")) ||
		slice_eq(method, SLICE("HEAD")) || slice_eq(method, SLICE("OPTIONS")));
}

void trace_route(struct call *c)
{
	if (trace_is_sampled(c->request.trace) && !trace_has_parent(&c->trace) && trace_looks(c))
		c->trace.flags &= (uint8_t)~TRACE_SAMPLED;
}

/* ---- the server's span ---- */

struct trace_list {
	size_t n;
	struct trace_fact facts[TRACE_FACTS];
};

static void trace_text(struct trace_list *f, const char *key, struct slice text)
{
	assert(f->n < TRACE_FACTS);
	if (text.n)
		f->facts[f->n++] = (struct trace_fact){ .key = key, .text = text };
}

static void trace_number(struct trace_list *f, const char *key, int64_t number)
{
	assert(f->n < TRACE_FACTS);
	f->facts[f->n++] = (struct trace_fact){ .key = key, .number = number };
}

/* "/127.0.0.1:4711", "/[::1]:4711", "/unix". */
static void trace_peer(struct trace_list *f, struct slice peer)
{
	size_t at = peer.n;
	uint64_t port;

	while (at && peer.p[at - 1] != ':')
		at--;
	if (at < 2 || !slice_u64(slice_make(peer.p + at, peer.n - at), &port))
		return;
	trace_text(f, "client.address", slice_make(peer.p + 1, at - 2));
	trace_number(f, "client.port", (int64_t)port);
}

/* "predictions/{model}" is "/predictions/{model}". A name of a route that no route has is none. In
 * the exchange's memory, as all that is made at the end: a thread may still read a form into the
 * call's when its client leaves. */
static struct slice trace_route_name(struct call *c)
{
	return c->route && c->route->path && c->route->run
		       ? slice_str(region_printf(&c->x->region, "/%s", c->route->path))
		       : SLICE_NULL;
}

static void trace_outcome(struct trace_span *s, struct trace_list *f, const struct exchange *x,
			  enum exchange_end how, char text[8])
{
	bool gone = how == EXCHANGE_GONE;

	if (x->status)
		trace_number(f, "http.response.status_code", x->status);
	snprintf(text, 8, "%d", x->status);
	if (gone) {
		trace_text(f, "error.type", SLICE("disconnected"));
		s->message = SLICE("the connection ended before the answer");
	} else if (x->status >= 500) {
		trace_text(f, "error.type", slice_str(text));
	}
	s->failed = gone || x->status >= 500;
}

void trace_end(struct call *c, enum exchange_end how)
{
	static const struct slice versions[] = { SLICE_CONST("1.0"), SLICE_CONST("1.1") };
	const struct http_head *head = &c->x->head;
	struct slice route = trace_route_name(c);
	struct trace_list f = { 0 };
	struct trace_span s = { .trace = &c->trace,
				.id = c->trace.span,
				.parent = c->trace.parent,
				.kind = SPAN_SERVER,
				.begin_ns = c->x->began_ns,
				.end_ns = clock_now_ns() };
	char status[8];

	s.name = slice_str(region_printf(&c->x->region, "%.*s%s%.*s", SLICE_ARG(head->method),
					 route.n ? " " : "", SLICE_ARG(route)));
	trace_text(&f, "http.request.method", head->method);
	trace_text(&f, "http.route", route);
	trace_text(&f, "url.path", head->path);
	trace_text(&f, "url.scheme", SLICE("http"));
	trace_text(&f, "network.protocol.version", versions[head->minor ? 1 : 0]);
	trace_text(&f, "user_agent.original", http_head_get(head, "user-agent"));
	trace_peer(&f, slice_str(exchange_peer(c->x)));
	trace_text(&f, "sconce.request.id", slice_str(c->uuid));
	trace_text(&f, "sconce.model.name", c->model);
	trace_text(&f, "sconce.model.version", c->version_name);
	trace_number(&f, "http.response.body.size", (int64_t)c->x->bytes_sent);
	trace_outcome(&s, &f, c->x, how, status);
	s.facts = f.facts;
	s.n_facts = f.n;
	tracer_put(c->api->fleet->tracer, &s);
}
