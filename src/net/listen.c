/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net.h"

/* Listeners: their addresses, and who is let in. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/err.h"
#include "base/mem.h"
#include "loop/turn.h"
#include "net/conn.h"

#define NET_BACKLOG 1024
#define NET_RESERVE_MAX 64

static void listener_closed(uv_handle_t *h)
{
	struct listener *l = h->data;

	free(l->unlink_path);
	free(l);
}

void listener_close(struct listener *l)
{
	list_for_each (n, &l->net->conns) {
		struct conn *c = container_of(n, struct conn, link);

		if (c->listener == l)
			c->listener = NULL;
	}
	if (l->unlink_path)
		unlink(l->unlink_path);
	list_remove(&l->link);
	uv_close((uv_handle_t *)&l->h.stream, listener_closed);
}

/* ---- letting in ---- */

/* Every listener keeps a few places that the others' clients cannot take: management and health
 * checks get through whatever the clients of inference do. */
static bool listener_has_room(const struct listener *l)
{
	const struct net *n = l->net;
	unsigned limit = n->limits.connections, kept = 0, share;

	if (!limit)
		return true;
	share = MIN(limit / 8, NET_RESERVE_MAX);
	list_for_each (m, &n->listeners) {
		const struct listener *other = container_of(m, struct listener, link);

		if (other != l && other->connections < share)
			kept += share - other->connections;
	}
	return n->stats.connections_now + kept < limit;
}

static void listener_refuse(struct conn *c)
{
	static char busy[] = "HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\n"
			     "content-length: 0\r\n\r\n";
	uv_buf_t b = uv_buf_init(busy, sizeof(busy) - 1);

	c->net->stats.connections_refused++;
	uv_try_write(&c->h.stream, &b, 1);
	conn_doom(c);
}

static void listener_incoming(uv_stream_t *s, int status)
{
	struct listener *l = s->data;
	bool room = listener_has_room(l);
	struct conn *c;

	TURN(s);
	if (status < 0)
		return;
	c = conn_create(l->net, l->handler, l->h.stream.type == UV_NAMED_PIPE);
	c->listener = l;
	l->connections++;
	if (uv_accept(&l->h.stream, &c->h.stream) < 0)
		conn_doom(c);
	else if (!room)
		listener_refuse(c);
	else if (conn_begin(c) < 0)
		conn_doom(c);
}

int net_adopt(struct net *n, int fd, const struct exchange_handler *handler)
{
	struct conn *c = conn_create(n, handler, true);
	int r = uv_pipe_open(&c->h.pipe, fd);

	if (!r)
		r = conn_begin(c);
	if (r < 0)
		conn_doom(c);
	return r < 0 ? err_origin(r) : 0;
}

/* ---- listening ---- */

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
		r = uv_listen(&l->h.stream, NET_BACKLOG, listener_incoming);
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
