/* SPDX-License-Identifier: Apache-2.0 */
#include "net/conn.h"

/*
 * A connection's input: heads through the parser, bodies of known length straight from the socket
 * into their sink, everything bounded in size and time.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "wire/json.h"

/* ---- waiting ---- */

void conn_wait(struct conn *c, enum wait_kind kind)
{
	struct net *n = c->net;

	list_remove(&c->wait);
	c->wait_kind = kind;
	if (kind == WAIT_NONE || !n->wait_ms[kind])
		return;
	c->wait_until_ms = uv_now(n->loop) + n->wait_ms[kind];
	list_push_back(&n->waits[kind], &c->wait);
}

void conn_timed_out(struct conn *c)
{
	size_t queued;

	c->net->stats.timeouts_total++;
	switch (c->wait_kind) {
	case WAIT_HEAD:
		conn_refuse(c, NULL, 408, "The request's head did not arrive in time.");
		return;
	case WAIT_BODY:
		conn_refuse(c, c->incoming, 408, "The request's body did not arrive in time.");
		return;
	case WAIT_WRITE:
		queued = uv_stream_get_write_queue_size(&c->h.stream);
		if (queued < c->queue_seen) {
			c->queue_seen = queued;
			conn_wait(c, WAIT_WRITE);
			return;
		}
		c->reset = true;
		conn_close(c);
		return;
	default:
		conn_close(c);
	}
}

/* ---- life ---- */

struct conn *conn_create(struct listener *l)
{
	struct net *n = l->net;
	struct conn *c = mem_new(struct conn);

	c->net = n;
	c->handler = l->handler;
	list_init(&c->exchanges);
	list_init(&c->wait);
	c->wait_kind = WAIT_NONE;
	http1_init(&c->parser, &n->head_limits);
	buf_init(&c->stash, NET_RECEIVE);
	if (l->h.stream.type == UV_NAMED_PIPE)
		uv_pipe_init(n->loop, &c->h.pipe, 0);
	else
		uv_tcp_init(n->loop, &c->h.tcp);
	c->h.handle.data = c;
	list_push_back(&n->conns, &c->link);
	n->stats.connections_now++;
	n->stats.connections_total++;
	return c;
}

static void conn_freed(uv_handle_t *h)
{
	struct conn *c = h->data;

	http1_finish(&c->parser);
	buf_finish(&c->stash);
	free(c);
}

void conn_close(struct conn *c)
{
	if (c->closing)
		return;
	c->closing = true;
	list_remove(&c->wait);
	while (c->n_exchanges)
		pending_finish(
			pending_of(container_of(list_first(&c->exchanges), struct exchange, link)),
			EXCHANGE_GONE);
	list_remove(&c->link);
	c->net->stats.connections_now--;
	if (!c->reset || c->h.stream.type != UV_TCP ||
	    uv_tcp_close_reset(&c->h.tcp, conn_freed) < 0)
		uv_close(&c->h.handle, conn_freed);
	net_conn_gone(c->net);
}

static void conn_name_peer(struct conn *c)
{
	struct sockaddr_storage a;
	int n = sizeof(a);
	char host[INET6_ADDRSTRLEN] = "";
	bool six;

	snprintf(c->peer, sizeof(c->peer), "/unix");
	if (c->h.handle.type != UV_TCP ||
	    uv_tcp_getpeername(&c->h.tcp, (struct sockaddr *)&a, &n) < 0)
		return;
	six = a.ss_family == AF_INET6;
	if (six)
		uv_ip6_name((struct sockaddr_in6 *)&a, host, sizeof(host));
	else
		uv_ip4_name((struct sockaddr_in *)&a, host, sizeof(host));
	snprintf(c->peer, sizeof(c->peer), six ? "/[%s]:%u" : "/%s:%u", host,
		 ntohs(six ? ((struct sockaddr_in6 *)&a)->sin6_port
			   : ((struct sockaddr_in *)&a)->sin_port));
}

/* ---- input ---- */

/* Room in the sink for a body; false after having refused the request. */
static bool conn_sink_room(struct conn *c, size_t want, char **p, size_t *n)
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

static void conn_body_done(struct conn *c)
{
	struct pending_exchange *e = c->incoming;

	e->body_done = true;
	c->incoming = NULL;
	if (e->x.sink) {
		e->x.sink->ops->end(e->x.sink);
		e->x.handler->body(e->x.handler->ctx, &e->x);
	}
}

/* Bytes of the body that are already in their place. */
static void conn_body_arrived(struct conn *c, size_t n)
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

static bool conn_body_known(struct conn *c, struct slice *in)
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

static bool conn_body_piece(struct conn *c)
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

static bool conn_begin_sink(struct conn *c, struct pending_exchange *e)
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

static void conn_start_reading(struct conn *c)
{
	if (c->reading || c->closing || c->stash.n)
		return;
	c->reading = uv_read_start(&c->h.stream, conn_alloc, conn_read) == 0;
}

int conn_accept(struct conn *c, struct listener *l)
{
	static char busy[] = "HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\n"
			     "content-length: 0\r\n\r\n";
	uv_buf_t b = uv_buf_init(busy, sizeof(busy) - 1);
	int r = uv_accept(&l->h.stream, &c->h.stream);

	if (r < 0)
		return r;
	if (c->h.handle.type == UV_TCP)
		uv_tcp_nodelay(&c->h.tcp, 1);
	if (c->net->limits.connections &&
	    c->net->stats.connections_now > c->net->limits.connections) {
		c->net->stats.connections_refused++;
		uv_try_write(&c->h.stream, &b, 1);
		return -EMFILE;
	}
	conn_name_peer(c);
	conn_start_reading(c);
	conn_wait(c, WAIT_IDLE);
	return c->reading ? 0 : -EIO;
}

static const char *conn_error_type(int status)
{
	return status == 408   ? "RequestTimeoutException"
	       : status == 503 ? "ServiceUnavailableException"
			       : "BadRequestException";
}

void conn_refuse(struct conn *c, struct pending_exchange *e, int status, const char *why)
{
	struct buf text = BUF_INIT(4096);
	struct answer a = { .status = status,
			    .headers = SLICE("content-type: application/json\r\n"),
			    .close = true };
	struct slice copy;

	c->refused = c->linger = true;
	if (e && e->begun) {
		/* It has its answer already; what is wrong now only ends the connection. */
		e->close = true;
		if (!e->finished)
			exchange_abort(&e->x);
		conn_flush(c);
		return;
	}
	if (!e)
		e = pending_take(c);
	if (c->incoming == e)
		c->incoming = NULL;
	if (e->x.sink)
		e->x.sink->ops->abort(e->x.sink);
	e->x.sink = NULL;
	json_error(&text, status, conn_error_type(status), slice_str(why));
	copy = region_copy(&e->x.region, buf_slice(&text));
	buf_finish(&text);
	exchange_reply(&e->x, &a, (struct payload){ .p = copy.p, .n = copy.n });
}

static int conn_fd(const struct conn *c)
{
	uv_os_fd_t fd = -1;

	uv_fileno(&c->h.handle, &fd);
	return fd;
}

/* Everything that could go out has gone: what next? */
void conn_settle(struct conn *c)
{
	if (c->closing || c->writing)
		return;
	if ((c->close_after || c->last_request) && !c->n_exchanges && !c->incoming) {
		if (!c->linger || !c->reading) {
			conn_close(c);
			return;
		}
		if (!c->lingering) {
			c->lingering = true;
			shutdown(conn_fd(c), SHUT_WR);
			conn_wait(c, WAIT_LINGER);
		}
		return;
	}
	if (c->stash.n)
		conn_resume_input(c);
	if (c->closing)
		return;
	conn_start_reading(c);
	if (c->incoming)
		conn_wait(c, WAIT_BODY);
	else if (!c->parser.started && c->n_exchanges)
		conn_wait(c, WAIT_NONE);
	else if (!c->parser.started)
		conn_wait(c, WAIT_IDLE);
	else if (c->wait_kind != WAIT_HEAD)
		conn_wait(c, WAIT_HEAD);
}
