/* SPDX-License-Identifier: Apache-2.0 */
#include "net/conn.h"

/*
 * A connection as a transport, from accept to close: what it waits for and how long, and what comes
 * next when everything that could be sent has been.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "loop/turn.h"

/* ---- waiting ---- */

static void wait_stop(struct wait *w)
{
	list_remove(&w->link);
	w->kind = WAIT_NONE;
}

static void wait_start(struct wait *w, enum wait_kind kind)
{
	struct net *n = w->conn->net;

	wait_stop(w);
	w->kind = kind;
	if (kind == WAIT_NONE || !n->wait_ms[kind])
		return;
	w->until_ms = turn_now_ns(n->loop) / NS_PER_MS + n->wait_ms[kind];
	list_push_back(&n->waits[kind], &w->link);
}

void conn_wait(struct conn *c, enum wait_kind kind)
{
	if (c->in.kind != kind)
		wait_start(&c->in, kind);
}

void conn_wait_again(struct conn *c)
{
	wait_start(&c->in, c->in.kind);
}

static uint64_t conn_now_ms(const struct conn *c)
{
	return turn_now_ns(c->net->loop) / NS_PER_MS;
}

void conn_linger_on(struct conn *c)
{
	if (c->lingering && !c->net->draining && conn_now_ms(c) < c->linger_until)
		conn_wait_again(c);
}

void conn_wait_output(struct conn *c, bool waits)
{
	wait_start(&c->out, waits ? WAIT_WRITE : WAIT_NONE);
}

static void conn_write_timed_out(struct conn *c)
{
	size_t queued = uv_stream_get_write_queue_size(&c->h.stream);

	if (queued < c->queue_seen) {
		c->queue_seen = queued;
		wait_start(&c->out, WAIT_WRITE);
		return;
	}
	c->net->stats.timeouts_total++;
	c->reset = true;
	conn_doom(c);
}

static int conn_fd(const struct conn *c)
{
	uv_os_fd_t fd = -1;

	uv_fileno(&c->h.handle, &fd);
	return fd;
}

/* Has something come that was not read yet? */
static bool conn_hears(const struct conn *c)
{
	char first;

	return recv(conn_fd(c), &first, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

/* It is taken out before anything is done about it: what is late is late once. */
void conn_timed_out(struct wait *w)
{
	struct conn *c = w->conn;
	enum wait_kind kind = w->kind;

	wait_stop(w);
	c->net->stats.timeouts_total += kind == WAIT_HEAD || kind == WAIT_BODY;
	switch (kind) {
	case WAIT_HEAD:
		h1_refuse(c, 408, "The request's head did not arrive in time.");
		return;
	case WAIT_BODY:
		h1_refuse(c, 408, "The request's body did not arrive in time.");
		return;
	case WAIT_WRITE:
		conn_write_timed_out(c);
		return;
	case WAIT_IDLE:
		if (conn_hears(c)) {
			wait_start(w, kind);
			return;
		}
		conn_doom(c);
		return;
	default:
		conn_doom(c);
	}
}

/* ---- reading ---- */

static void conn_alloc(uv_handle_t *h, size_t hint, uv_buf_t *buf)
{
	struct conn *c = h->data;
	char *p;
	size_t n;

	(void)hint;
	/* Without room libuv does not read; the poll tells of what is left in the next turn. */
	if (c->satisfied) {
		*buf = uv_buf_init(NULL, 0);
		return;
	}
	h1_room(c, &p, &n);
	*buf = uv_buf_init(p, (unsigned)MIN(n, NET_READ_BYTES));
}

static void conn_ended(struct conn *c, ssize_t why)
{
	if (why != UV_EOF || !h1_half_closed(c)) {
		conn_doom(c);
		return;
	}
	c->eof = c->close_after = true;
	c->linger = false;
	conn_stop_reading(c);
	conn_touch(c);
}

static void conn_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct conn *c = s->data;
	struct net *net = c->net;

	TURN(s);
	if (n == UV_ENOBUFS && c->satisfied)
		return;
	net_count(net, 1);
	if (n < 0)
		conn_ended(c, n);
	else if (n > 0)
		h1_arrived(c, buf->base, (size_t)n);
	if (n)
		c->heard = c->heard && c->h1.stash.n;
	net->turn_read += n > 0 ? (size_t)n : 0;
	/* libuv would go on while there is more, and others wait. */
	if ((net->turn_read < NET_TURN_BYTES && !net->late) || !c->reading)
		return;
	c->satisfied = true;
	conn_touch(c);
}

static void conn_start_reading(struct conn *c)
{
	if (!c->reading && !c->eof && !c->h1.stash.n)
		c->reading = uv_read_start(&c->h.stream, conn_alloc, conn_read) == 0;
}

void conn_stop_reading(struct conn *c)
{
	if (c->reading)
		uv_read_stop(&c->h.stream);
	c->reading = false;
}

/* ---- life ---- */

void conn_touch(struct conn *c)
{
	struct net *n = c->net;

	assert(!c->closed);
	if (list_linked(&c->due))
		return;
	/* The loop goes on as long as there is a turn to end. */
	if (list_empty(&n->due))
		uv_ref((uv_handle_t *)n->turn);
	list_push_back(&n->due, &c->due);
}

void conn_doom(struct conn *c)
{
	c->doomed = true;
	conn_stop_reading(c);
	conn_touch(c);
}

struct conn *conn_create(struct net *n, const struct exchange_handler *handler, bool pipe)
{
	struct conn *c = mem_new(struct conn);

	c->net = n;
	c->handler = handler;
	list_init(&c->due);
	list_init(&c->in.link);
	list_init(&c->out.link);
	c->in.conn = c->out.conn = c;
	c->in.kind = c->out.kind = WAIT_NONE;
	h1_init(c);
	if (pipe)
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

	h1_finish(c);
	free(c);
}

void conn_close(struct conn *c)
{
	assert(c->net->turning && !c->closed);
	c->doomed = true; /* what its exchanges do at their end is for nobody */
	wait_stop(&c->in);
	wait_stop(&c->out);
	c->reset |= h1_would_look_whole(c);
	h1_abandon(c);
	h1_drop_stash(c);
	c->closed = true;
	list_remove(&c->due);
	list_remove(&c->link);
	c->net->stats.connections_now--;
	if (c->listener)
		c->listener->connections--;
	if (!c->reset || c->h.stream.type != UV_TCP ||
	    uv_tcp_close_reset(&c->h.tcp, conn_freed) < 0)
		uv_close(&c->h.handle, conn_freed);
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

int conn_begin(struct conn *c)
{
	if (c->h.handle.type == UV_TCP)
		uv_tcp_nodelay(&c->h.tcp, 1);
	conn_name_peer(c);
	conn_start_reading(c);
	conn_wait(c, h1_waits_for(c));
	return c->reading ? 0 : -EIO;
}

void conn_drain(struct conn *c)
{
	bool idle = h1_idle(c);

	c->close_after = true;
	c->heard = idle && !c->h1.refused && !c->lingering && conn_hears(c);
	if (idle && !c->heard)
		conn_doom(c);
	else
		conn_touch(c);
}

/* ---- its turn ---- */

/* May there be input that nobody will look at, or is some on its way? */
static bool conn_has_more(const struct conn *c)
{
	return !c->eof && (c->linger || c->net->draining || c->h1.stash.n || !c->reading);
}

/* All answers are out and no more will come. What the client still sends is dropped for a moment,
 * because closing before it was read would throw away the answer. */
static void conn_leave(struct conn *c)
{
	if (!c->lingering && conn_has_more(c)) {
		h1_drop_stash(c);
		conn_start_reading(c);
		c->lingering = c->reading;
		c->linger_until = conn_now_ms(c) + NET_LINGER_WHOLE_MS;
		shutdown(conn_fd(c), SHUT_WR);
		conn_wait(c, WAIT_LINGER);
	}
	if (!c->lingering)
		conn_doom(c);
}

static void conn_go_on(struct conn *c)
{
	h1_resume(c);
	if (c->doomed)
		return;
	conn_start_reading(c);
	conn_wait(c, h1_waits_for(c));
}

void conn_turn(struct conn *c)
{
	assert(c->net->turning && !c->closed);
	c->satisfied = false;
	if (!c->doomed && !c->writing && !output_send(c))
		c->doomed = true;
	if (c->doomed)
		conn_close(c);
	else if (c->close_after && !c->h1.n_exchanges && !c->heard)
		conn_leave(c);
	else
		conn_go_on(c);
}
