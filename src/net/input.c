/* SPDX-License-Identifier: Apache-2.0 */
#include "net/conn.h"

/*
 * A connection's input: bytes through the parser to exchanges. Everything is bounded: what is read
 * ahead by the number of exchanges and one receive buffer, what is dropped by NET_LINGER_BYTES.
 */

static void conn_alloc(uv_handle_t *h, size_t hint, uv_buf_t *buf)
{
	struct conn *c = h->data;
	struct pending_exchange *e = c->incoming;
	char *p = c->net->receive;
	size_t n = NET_RECEIVE;

	(void)hint;
	if (e && c->body_known && e->x.sink && !c->lingering) {
		if (!conn_sink_room(c, (size_t)MIN(c->body_left, SIZE_MAX), &p, &n)) {
			p = c->net->receive;
			n = NET_RECEIVE;
		} else if (n > c->body_left) {
			n = (size_t)c->body_left;
		}
	}
	*buf = uv_buf_init(p, (unsigned)MIN(n, (size_t)1 << 30));
}

static void conn_go_on(struct conn *c)
{
	static char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
	uv_buf_t b = uv_buf_init(text, sizeof(text) - 1);

	/* Only while nothing else is on its way; else the client goes on by itself after a moment.
	 */
	if (!c->writing)
		uv_try_write(&c->h.stream, &b, 1);
}

/* A head is complete. False: nothing more can be read. */
static bool conn_head(struct conn *c)
{
	struct pending_exchange *e = pending_take(c);
	int status = http1_head(&c->parser, &e->x.region, &e->x.head);
	uint64_t length = e->x.head.content_length;

	c->net->stats.requests_total++;
	c->body_known = length != HTTP_LENGTH_UNKNOWN;
	c->body_left = c->body_known ? length : 0;
	c->body_seen = c->dropped = 0;
	c->body_began_ms = uv_now(c->net->loop);
	e->body_done = length == 0;
	if (status) {
		conn_refuse(c, e, status,
			    status == 417 ? "The only expectation that can be met is 100-continue."
			    : status == 501
				    ? "This Transfer-Encoding is not supported: only chunked is."
				    : "Invalid HTTP message.");
		return false;
	}
	if (c->body_known && length > c->net->limits.body_bytes) {
		conn_refuse(c, e, 413, "The request body is too large.");
		return false;
	}
	c->incoming = length ? e : NULL;
	if (!length)
		http1_body_taken(&c->parser);
	if (!e->x.head.keep_alive)
		c->last_request = true;
	e->x.handler = c->handler;
	e->x.handler->head(e->x.handler->ctx, &e->x);
	if (c->closing || !length)
		return !c->closing;
	/* Answered early, without a wish for the body, before it was sent: it will not be. */
	if (e->begun && e->x.head.expect_continue) {
		e->close = true;
		return true;
	}
	if (!conn_begin_sink(c, e))
		return false;
	if (e->x.head.expect_continue)
		conn_go_on(c);
	return true;
}

static void conn_stash(struct conn *c, struct slice in)
{
	if (in.n && buf_put_slice(&c->stash, in) < 0) {
		conn_close(c);
		return;
	}
	if (c->reading) {
		uv_read_stop(&c->h.stream);
		c->reading = false;
	}
}

static void conn_parse_error(struct conn *c)
{
	c->net->stats.bad_requests_total++;
	conn_refuse(c, c->incoming, c->parser.status, c->parser.why);
}

/* One step of the parser. False: stop. */
static bool conn_step(struct conn *c, struct slice *in)
{
	size_t eaten = 0;
	enum http1_event event;

	if (c->incoming && c->body_known)
		return conn_body_known(c, in);
	event = http1_feed(&c->parser, *in, &eaten);
	if (event != HTTP1_REFUSE)
		*in = slice_make(in->p + eaten, in->n - eaten);
	switch (event) {
	case HTTP1_HEAD:
		return conn_head(c);
	case HTTP1_BODY:
		return !c->incoming || conn_body_piece(c);
	case HTTP1_END:
		if (c->incoming)
			conn_body_done(c);
		return true;
	case HTTP1_REFUSE:
		conn_parse_error(c);
		return false;
	default:
		return in->n > 0;
	}
}

static bool conn_between_requests(const struct conn *c)
{
	return !c->incoming && !c->parser.started;
}

static void conn_input(struct conn *c, struct slice in)
{
	bool was = c->corked;

	c->corked = true;
	while (!c->closing && !c->lingering && !c->refused) {
		if (conn_between_requests(c) && (c->close_after || c->last_request) &&
		    c->n_exchanges)
			break;
		if (conn_between_requests(c) && c->n_exchanges >= c->net->limits.pipelined) {
			conn_stash(c, in);
			break;
		}
		if (!in.n || !conn_step(c, &in))
			break;
	}
	c->corked = was;
	if (!c->closing && !was)
		conn_flush(c);
}

void conn_resume_input(struct conn *c)
{
	struct buf stash = c->stash;

	if (!stash.n || c->n_exchanges >= c->net->limits.pipelined)
		return;
	buf_init(&c->stash, NET_RECEIVE);
	conn_input(c, buf_slice(&stash));
	buf_finish(&stash);
}

/* ---- the end of input, refusals ---- */

static bool conn_all_answered(const struct conn *c)
{
	list_for_each (l, &c->exchanges)
		if (!pending_of(container_of(l, struct exchange, link))->finished)
			return false;
	return true;
}

/* A client that ends its side while it waits has left, unless it had said that this request would
 * be its last: then it may only have closed its sending half. */
static void conn_ended(struct conn *c, ssize_t why)
{
	if (why != UV_EOF || !c->n_exchanges || c->incoming ||
	    (!c->last_request && !conn_all_answered(c))) {
		conn_close(c);
		return;
	}
	c->close_after = true;
	c->linger = false;
	uv_read_stop(&c->h.stream);
	c->reading = false;
}

static void conn_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct conn *c = s->data;

	if (n == 0 || c->closing)
		return;
	if (n < 0) {
		conn_ended(c, n);
		return;
	}
	if (c->lingering || c->refused) {
		c->dropped += (uint64_t)n;
		if (c->dropped > NET_LINGER_BYTES)
			conn_close(c);
		return;
	}
	if (buf->base == c->net->receive) {
		conn_input(c, slice_make(buf->base, (size_t)n));
		return;
	}
	c->corked = true;
	conn_body_arrived(c, (size_t)n);
	c->corked = false;
	if (!c->closing)
		conn_flush(c);
}

void conn_start_reading(struct conn *c)
{
	if (c->reading || c->closing || c->stash.n)
		return;
	c->reading = uv_read_start(&c->h.stream, conn_alloc, conn_read) == 0;
}
