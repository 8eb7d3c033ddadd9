/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net.h"

/* Listeners, the coarse clock of all connections, and draining. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/err.h"
#include "base/mem.h"
#include "net/conn.h"

#define NET_BACKLOG 1024
#define NET_TICK_MS 100

/* ---- time ---- */

static void net_check_rate(struct net *n, uint64_t now_ms)
{
	list_for_each_safe (l, &n->waits[WAIT_BODY]) {
		struct conn *c = container_of(l, struct conn, wait);
		uint64_t spent_ms = now_ms - c->body_began_ms;

		if (n->limits.body_rate_min && spent_ms > 10000 &&
		    c->body_seen * 1000 < n->limits.body_rate_min * spent_ms)
			conn_timed_out(c);
	}
}

static void net_tick(uv_timer_t *t)
{
	struct net *n = t->data;
	uint64_t now_ms = uv_now(n->loop);

	for (int k = 0; k < WAIT_KINDS; k++) {
		struct list *first;

		while ((first = list_first(&n->waits[k]))) {
			struct conn *c = container_of(first, struct conn, wait);

			if (c->wait_until_ms > now_ms)
				break;
			conn_timed_out(c);
		}
	}
	net_check_rate(n, now_ms);
}

struct net *net_create(uv_loop_t *loop, const struct net_limits *limits)
{
	struct net *n = mem_new(struct net);

	n->loop = loop;
	n->limits = *limits;
	n->head_limits = (struct http1_limits){ limits->head_bytes, limits->headers };
	list_init(&n->conns);
	list_init(&n->listeners);
	list_init(&n->free_exchanges);
	for (int k = 0; k < WAIT_KINDS; k++)
		list_init(&n->waits[k]);
	n->wait_ms[WAIT_HEAD] = limits->head_timeout_ms;
	n->wait_ms[WAIT_BODY] = limits->body_timeout_ms;
	n->wait_ms[WAIT_IDLE] = limits->idle_timeout_ms;
	n->wait_ms[WAIT_WRITE] = limits->write_timeout_ms;
	n->wait_ms[WAIT_LINGER] = NET_LINGER_MS;
	n->tick = mem_new(uv_timer_t);
	uv_timer_init(loop, n->tick);
	n->tick->data = n;
	uv_timer_start(n->tick, net_tick, NET_TICK_MS, NET_TICK_MS);
	uv_unref((uv_handle_t *)n->tick);
	return n;
}

static void net_freed(uv_handle_t *h)
{
	free(h);
}

static void listener_closed(uv_handle_t *h)
{
	struct listener *l = h->data;

	free(l->unlink_path);
	free(l);
}

static void listener_close(struct listener *l)
{
	if (l->unlink_path)
		unlink(l->unlink_path);
	list_remove(&l->link);
	uv_close((uv_handle_t *)&l->h.stream, listener_closed);
}

static void net_close_listeners(struct net *n)
{
	while (!list_empty(&n->listeners))
		listener_close(container_of(list_first(&n->listeners), struct listener, link));
}

struct net *net_destroy(struct net *n)
{
	struct list *l;

	if (!n)
		return NULL;
	n->drained = NULL;
	net_close_listeners(n);
	while ((l = list_first(&n->conns)))
		conn_close(container_of(l, struct conn, link));
	while ((l = list_pop(&n->free_exchanges))) {
		struct pending_exchange *e = pending_of(container_of(l, struct exchange, link));

		region_finish(&e->x.region);
		free(e);
	}
	uv_timer_stop(n->tick);
	uv_close((uv_handle_t *)n->tick, net_freed);
	free(n);
	return NULL;
}

const struct net_stats *net_stats(const struct net *n)
{
	return &n->stats;
}

/* ---- draining ---- */

void net_conn_gone(struct net *n)
{
	void (*done)(void *) = n->drained;

	if (!n->draining || !done || !list_empty(&n->conns))
		return;
	n->drained = NULL;
	done(n->drained_arg);
}

void net_drain(struct net *n, void (*done)(void *arg), void *arg)
{
	n->draining = true;
	net_close_listeners(n);
	list_for_each_safe (l, &n->conns) {
		struct conn *c = container_of(l, struct conn, link);

		c->close_after = true;
		if (!c->n_exchanges && !c->parser.started)
			conn_close(c);
	}
	n->drained = done;
	n->drained_arg = arg;
	net_conn_gone(n);
}

/* ---- listening ---- */

static void net_incoming(uv_stream_t *s, int status)
{
	struct listener *l = s->data;
	struct conn *c;

	if (status < 0)
		return;
	c = conn_create(l);
	if (conn_accept(c, l) < 0)
		conn_close(c);
}

static int net_bind_unix(struct listener *l, const char *path, struct buf *why)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	_cleanup_(closep) int probe = -1;
	struct stat st;
	int r;

	if (strlen(path) >= sizeof(a.sun_path)) {
		buf_printf(why, "unix:%s: the path is too long for a socket", path);
		return -ENAMETOOLONG;
	}
	memcpy(a.sun_path, path, strlen(path));
	/* A socket file that nobody listens on is left over from a crash. */
	if (stat(path, &st) == 0 && S_ISSOCK(st.st_mode)) {
		probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (connect(probe, (struct sockaddr *)&a, sizeof(a)) < 0 && errno == ECONNREFUSED)
			unlink(path);
	}
	uv_pipe_init(l->net->loop, &l->h.pipe, 0);
	r = uv_pipe_bind(&l->h.pipe, path);
	if (!r)
		l->unlink_path = mem_strdup(path);
	else
		buf_printf(why, "unix:%s: %s", path, uv_strerror(r));
	return r;
}

static int net_bind_tcp(struct listener *l, const char *host, const char *port, struct buf *why)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC,
				  .ai_socktype = SOCK_STREAM,
				  .ai_flags = AI_PASSIVE };
	struct addrinfo *found = NULL;
	struct sockaddr_storage bound;
	int n = sizeof(bound), r = getaddrinfo(host, port, &hints, &found);

	if (r) {
		buf_printf(why, "http://%s:%s: %s", host, port, gai_strerror(r));
		return -EADDRNOTAVAIL;
	}
	r = uv_tcp_bind(&l->h.tcp, found->ai_addr, 0);
	freeaddrinfo(found);
	if (!r)
		r = uv_tcp_getsockname(&l->h.tcp, (struct sockaddr *)&bound, &n);
	if (r)
		buf_printf(why, "http://%s:%s: %s", host, port, uv_strerror(r));
	else
		l->port = ntohs(bound.ss_family == AF_INET6
					? ((struct sockaddr_in6 *)&bound)->sin6_port
					: ((struct sockaddr_in *)&bound)->sin_port);
	return r;
}

static int net_bad_address(const char *address, struct buf *why)
{
	buf_printf(why,
		   "'%s' is not an address to listen on; allowed: http://host:port, http://host, "
		   "unix:path",
		   address);
	return -EINVAL;
}

static int net_bind(struct listener *l, const char *address, struct buf *why)
{
	struct slice a = slice_str(address), host, port = SLICE("80");
	_cleanup_(freep) char *host_text = NULL, *port_text = NULL;
	const char *colon;
	uint64_t number;

	if (slice_starts(a, SLICE("unix://")))
		return net_bind_unix(l, address + 7, why);
	if (slice_starts(a, SLICE("unix:")))
		return net_bind_unix(l, address + 5, why);
	/* Also for an address that is refused: the listener is closed in any case. */
	uv_tcp_init(l->net->loop, &l->h.tcp);
	if (!slice_istarts(a, SLICE("http://")))
		return net_bad_address(address, why);
	host = slice_make(a.p + 7, a.n - 7);
	if (host.n && host.p[host.n - 1] == '/')
		host.n--;
	colon = memrchr(host.p, ':', host.n);
	if (colon && host.p[host.n - 1] != ']') {
		port = slice_make(colon + 1, (size_t)(host.p + host.n - colon - 1));
		host.n = (size_t)(colon - host.p);
	}
	if (host.n > 2 && host.p[0] == '[')
		host = slice_make(host.p + 1, host.n - 2);
	if (!host.n || !slice_u64(port, &number) || number > 65535)
		return net_bad_address(address, why);
	host_text = slice_dup(host);
	port_text = slice_dup(port);
	return net_bind_tcp(l, host_text, port_text, why);
}

int net_listen(struct net *n, const char *address, const struct exchange_handler *handler,
	       struct listener **ret, struct buf *why)
{
	struct listener *l = mem_new(struct listener);
	int r;

	l->net = n;
	l->handler = handler;
	list_init(&l->link);
	list_push_back(&n->listeners, &l->link);
	r = net_bind(l, address, why);
	l->h.stream.data = l;
	if (!r) {
		r = uv_listen(&l->h.stream, NET_BACKLOG, net_incoming);
		if (r)
			buf_printf(why, "%s: %s", address, uv_strerror(r));
	}
	if (r) {
		listener_close(l);
		return err_origin(r);
	}
	if (ret)
		*ret = l;
	return 0;
}

int listener_port(const struct listener *l)
{
	return l->port;
}
