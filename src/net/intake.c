/* SPDX-License-Identifier: Apache-2.0 */
#include "net/conn.h"

/*
 * Request bodies on their way into their sinks: those of known length straight from the socket,
 * chunked ones and what came along with a head through the receive buffer. A body that nobody wants
 * is read and dropped.
 */

#include <string.h>

bool conn_sink_room(struct conn *c, size_t want, char **p, size_t *n)
{
	struct sink *s = c->incoming->x.sink;
	int r = s->ops->room(s, want, p, n);

	if (r == SINK_OK)
		return true;
	conn_refuse(c, c->incoming, r == SINK_TOO_LARGE ? 413 : 503,
		    r == SINK_TOO_LARGE
			    ? "The request body is too large."
			    : "The server's memory budget is used up; try again later.");
	return false;
}

void conn_body_done(struct conn *c)
{
	struct pending_exchange *e = c->incoming;

	e->body_done = true;
	c->incoming = NULL;
	if (e->x.sink) {
		e->x.sink->ops->end(e->x.sink);
		e->x.handler->body(e->x.handler->ctx, &e->x);
	}
}

void conn_body_arrived(struct conn *c, size_t n)
{
	struct pending_exchange *e = c->incoming;

	if (e->x.sink)
		e->x.sink->ops->filled(e->x.sink, n);
	c->body_left -= n;
	c->body_seen += n;
	if (c->body_left) {
		conn_wait(c, WAIT_BODY);
		return;
	}
	http1_body_taken(&c->parser);
	conn_body_done(c);
}

/* Copies body bytes that came through the receive buffer. False: refused. */
static bool conn_body_copy(struct conn *c, struct slice in)
{
	struct pending_exchange *e = c->incoming;

	while (in.n && e->x.sink) {
		char *p;
		size_t n;

		if (!conn_sink_room(c, in.n, &p, &n))
			return false;
		n = MIN(n, in.n);
		memcpy(p, in.p, n);
		e->x.sink->ops->filled(e->x.sink, n);
		in = slice_make(in.p + n, in.n - n);
	}
	return true;
}

bool conn_body_known(struct conn *c, struct slice *in)
{
	struct pending_exchange *e = c->incoming;
	size_t n = (size_t)MIN(c->body_left, in->n);

	if (!conn_body_copy(c, slice_make(in->p, n)))
		return false;
	*in = slice_make(in->p + n, in->n - n);
	c->body_left -= n;
	c->body_seen += n;
	c->dropped += e->x.sink ? 0 : n;
	if (!c->body_left) {
		http1_body_taken(&c->parser);
		conn_body_done(c);
	}
	return true;
}

bool conn_body_piece(struct conn *c)
{
	struct pending_exchange *e = c->incoming;
	size_t n = c->parser.piece.n;

	c->body_seen += n;
	if (c->body_seen > c->net->limits.body_bytes) {
		conn_refuse(c, e, 413, "The request body is too large.");
		return false;
	}
	if (!e->x.sink)
		c->dropped += n;
	if (c->dropped > NET_LINGER_BYTES && e->begun) {
		e->close = true;
		c->linger = true;
	}
	return conn_body_copy(c, c->parser.piece);
}

bool conn_begin_sink(struct conn *c, struct pending_exchange *e)
{
	struct sink *s = e->x.sink;
	int r;

	if (!s)
		return true;
	r = s->ops->begin(s, e->x.head.content_length);
	if (r == SINK_OK)
		return true;
	e->x.sink = NULL;
	conn_refuse(c, e, r == SINK_TOO_LARGE ? 413 : 503,
		    r == SINK_TOO_LARGE
			    ? "The request body is too large."
			    : "The server's memory budget is used up; try again later.");
	return false;
}
