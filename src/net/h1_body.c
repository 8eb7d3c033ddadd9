/* SPDX-License-Identifier: Apache-2.0 */
#include "net/h1.h"

/*
 * Request bodies on their way into their sinks: those of known length straight from the socket,
 * chunked ones and what came along with a head through the receive buffer. A body that nobody
 * wants, or nobody wants any more, is read and dropped, so that the next request begins where it
 * ends.
 */

#include <string.h>

#include "base/clock.h"
#include "loop/turn.h"
#include "net/conn.h"

static void h1_body_refuse(struct conn *c, int why)
{
	if (why == SINK_TOO_LARGE)
		h1_refuse(c, 413, "The request body is too large.");
	else
		h1_refuse(c, 503, H1_NO_MEMORY);
}

/* Its client waits to be told that the body is welcome. */
static void h1_body_invite(struct h1_exchange *e)
{
	static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";

	e->continued = true;
	exchange_put_last(&e->x, text, sizeof(text) - 1);
}

/* An invitation waits behind the answers before it, and the client for the invitation. */
bool h1_body_invites(const struct conn *c)
{
	const struct h1_body *b = &c->h1.body;

	return b->of && !b->seen && b->of->continued && !b->of->x.out.begun && b->of->x.out.first;
}

/* Bytes of it have arrived. How fast they come is counted from the first. */
static void h1_body_came(struct conn *c, size_t n)
{
	struct h1_body *b = &c->h1.body;

	if (!b->seen)
		b->began_ms = turn_now_ns(c->net->loop) / NS_PER_MS;
	b->seen += n;
	conn_wait_again(c);
}

bool h1_body_begin(struct conn *c, struct h1_exchange *e)
{
	struct sink *s = e->x.sink;
	int r = s ? s->ops->begin(s, e->x.head.content_length) : SINK_OK;

	e->api = !s;
	if (r != SINK_OK) {
		e->x.sink = NULL;
		h1_body_refuse(c, r);
		return false;
	}
	/* One that was answered already is not asked for a body that nobody wants. */
	if (e->x.head.expect_continue && !e->x.out.begun)
		h1_body_invite(e);
	return true;
}

bool h1_body_room(struct conn *c, size_t want, char **p, size_t *n)
{
	struct sink *s = c->h1.body.of->x.sink;
	int r = s->ops->room(s, want, p, n);

	if (r != SINK_OK)
		h1_body_refuse(c, r);
	return r == SINK_OK;
}

void h1_body_end(struct conn *c)
{
	struct h1_exchange *e = c->h1.body.of;
	uint64_t bytes = MIN(c->h1.body.seen, UINT32_MAX);

	assert(c->h1.body.reading && !c->h1.body.left);
	c->h1.body = (struct h1_body){ 0 };
	conn_wait(c, WAIT_NONE);
	if (!e || !e->x.sink)
		return;
	e->x.sink->ops->end(e->x.sink);
	e->api = true;
	e->x.handler->body(e->x.handler->ctx, &e->x);
	net_count(c->net, (unsigned)((bytes + e->x.out.pending) / NET_WEIGHED));
}

static void h1_body_took(struct conn *c, size_t n)
{
	struct h1_body *b = &c->h1.body;

	assert(b->left >= n);
	b->left -= n;
	h1_body_came(c, n);
	if (b->left)
		return;
	http1_body_taken(&c->h1.parser);
	h1_body_end(c);
}

void h1_body_arrived(struct conn *c, size_t n)
{
	struct sink *s = c->h1.body.of->x.sink;

	s->ops->filled(s, n);
	h1_body_took(c, n);
}

/* What nobody wants is dropped, within bounds: one that goes on and on ends the connection. */
static bool h1_body_drop(struct conn *c, size_t n)
{
	struct h1_body *b = &c->h1.body;

	b->dropped += n;
	if (b->dropped <= NET_LINGER_BYTES)
		return true;
	if (b->of)
		b->of->close = true;
	else
		c->close_after = true;
	c->linger = c->h1.refused = true;
	return false;
}

/* Copies body bytes that came through the receive buffer. False: refused. */
static bool h1_body_copy(struct conn *c, struct slice in)
{
	struct h1_exchange *e = c->h1.body.of;

	if (!e || !e->x.sink)
		return h1_body_drop(c, in.n);
	while (in.n) {
		char *p;
		size_t n;

		if (!h1_body_room(c, in.n, &p, &n))
			return false;
		n = MIN(n, in.n);
		memcpy(p, in.p, n);
		e->x.sink->ops->filled(e->x.sink, n);
		in = slice_make(in.p + n, in.n - n);
	}
	return true;
}

bool h1_body_known(struct conn *c, struct slice *in)
{
	size_t n = (size_t)MIN(c->h1.body.left, in->n);

	if (!h1_body_copy(c, slice_make(in->p, n)))
		return false;
	*in = slice_make(in->p + n, in->n - n);
	h1_body_took(c, n);
	return true;
}

bool h1_body_piece(struct conn *c)
{
	struct slice piece = c->h1.parser.piece;

	/* The parser has looked at the sizes of chunks; this one is inside the limit. */
	h1_body_came(c, piece.n);
	return h1_body_copy(c, piece);
}
