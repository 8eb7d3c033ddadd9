/* SPDX-License-Identifier: Apache-2.0 */
#include "net/conn.h"

/*
 * A connection from accept to close: what it waits for and how long, what it is refused for, and
 * what comes next when everything that could be sent has been. input.c reads, output.c writes.
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

/* ---- beginning, refusing, going on ---- */

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
