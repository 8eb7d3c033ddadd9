/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net.h"

/* Listeners: their addresses, and who is let in. */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "log/log.h"
#include "loop/turn.h"
#include "net/conn.h"

#define NET_BACKLOG 1024
#define NET_RESERVE_MAX 64
#define NET_ACCEPTS 64 /* in one turn */
#define NET_TELL_NS (10 * NS_PER_S)

static void listener_free(struct listener *l)
{
	if (l->fd >= 0)
		close(l->fd);
	free(l->unlink_path);
	free(l);
}

static void listener_closed(uv_handle_t *h)
{
	listener_free(h->data);
}

/* Somebody may have put another socket there since, who still listens on it. */
static void listener_unlink(const struct listener *l)
{
	struct stat st;

	if (l->unlink_path && lstat(l->unlink_path, &st) == 0 && st.st_dev == l->dev &&
	    st.st_ino == l->ino)
		unlink(l->unlink_path);
}

void listener_close(struct listener *l)
{
	list_for_each (n, &l->net->conns) {
		struct conn *c = container_of(n, struct conn, link);

		if (c->listener == l)
			c->listener = NULL;
	}
	listener_unlink(l);
	list_remove(&l->link);
	uv_close((uv_handle_t *)&l->poll, listener_closed);
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

/* It is never one of ours: those that are refused would take the places that are kept. */
static void listener_refuse(struct listener *l, int fd)
{
	static const char busy[] = "HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\n"
				   "content-length: 0\r\n\r\n";

	l->net->stats.refused_total++;
	send(fd, busy, sizeof(busy) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	close(fd);
}

static void listener_let_in(struct listener *l, int fd)
{
	struct conn *c;

	if (!listener_has_room(l)) {
		listener_refuse(l, fd);
		return;
	}
	c = conn_create(l->net, l->handler, l->pipe);
	c->listener = l;
	l->connections++;
	if ((l->pipe ? uv_pipe_open(&c->h.pipe, fd) : uv_tcp_open(&c->h.tcp, fd)) < 0) {
		close(fd);
		conn_doom(c);
	} else if (conn_begin(c) < 0) {
		conn_doom(c);
	}
}

/* There is no descriptor to be had, most likely. Clients wait in the kernel's queue; libuv's own
 * listeners would close them without a word, and turn for ever where they cannot even do that. */
static void listener_pause(struct listener *l, int error)
{
	struct net *n = l->net;
	uint64_t now_ns = clock_now_ns();

	uv_poll_stop(&l->poll);
	l->paused = true;
	uv_ref((uv_handle_t *)n->tick); /* it goes on there: the loop must not end before */
	n->stats.accept_failures_total++;
	if (n->told_ns && now_ns - n->told_ns < NET_TELL_NS)
		return;
	n->told_ns = now_ns;
	log_warn("No connection can be accepted: %s. %llu are open; max_connections and ulimit -n "
		 "bound them",
		 uv_strerror(error), (unsigned long long)n->stats.connections_now);
}

static void listener_ready(uv_poll_t *p, int status, int events)
{
	struct listener *l = p->data;

	TURN(p);
	(void)status;
	(void)events;
	for (unsigned i = 0; i < NET_ACCEPTS; i++) {
		int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			listener_let_in(l, fd);
			continue;
		}
		if (errno == EINTR || errno == ECONNABORTED)
			continue;
		if (errno != EAGAIN)
			listener_pause(l, -errno);
		return;
	}
}

void listeners_resume(struct net *n)
{
	list_for_each (m, &n->listeners) {
		struct listener *l = container_of(m, struct listener, link);

		if (l->paused)
			uv_poll_start(&l->poll, UV_READABLE, listener_ready);
		l->paused = false;
	}
	uv_unref((uv_handle_t *)n->tick);
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
	l->pipe = true;
	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	r = l->fd < 0 || bind(l->fd, (struct sockaddr *)&a, sizeof(a)) < 0 ? -errno : 0;
	if (r) {
		buf_printf(why, "unix:%s: %s", path, uv_strerror(r));
		return r;
	}
	if (lstat(path, &st) == 0) {
		l->unlink_path = mem_strdup(path);
		l->dev = st.st_dev;
		l->ino = st.st_ino;
	}
	return 0;
}

/* IPv6's any takes IPv4 too, whatever the system's default is. */
static int net_open_tcp(const struct addrinfo *a)
{
	_cleanup_(closep) int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
					  0);
	int on = 1, off = 0, r;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		return -errno;
	if (a->ai_family == AF_INET6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) < 0)
		return -errno;
	if (bind(fd, a->ai_addr, a->ai_addrlen) < 0)
		return -errno;
	r = fd;
	fd = -1;
	return r;
}

/* What the kernel says of it. */
static int listener_ask_place(struct listener *l)
{
	struct sockaddr_storage bound;
	socklen_t n = sizeof(bound);

	if (getsockname(l->fd, (struct sockaddr *)&bound, &n) < 0)
		return -errno;
	l->pipe = bound.ss_family == AF_UNIX;
	if (bound.ss_family == AF_INET6)
		l->port = ntohs(((struct sockaddr_in6 *)&bound)->sin6_port);
	else if (bound.ss_family == AF_INET)
		l->port = ntohs(((struct sockaddr_in *)&bound)->sin_port);
	else if (!l->pipe)
		return -EAFNOSUPPORT;
	return 0;
}

static int net_bind_tcp(struct listener *l, const char *host, const char *port, struct buf *why)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC,
				  .ai_socktype = SOCK_STREAM,
				  .ai_flags = AI_PASSIVE };
	struct addrinfo *found = NULL;
	int r = getaddrinfo(host, port, &hints, &found);

	if (r) {
		buf_printf(why, "http://%s:%s: %s", host, port, gai_strerror(r));
		return -EADDRNOTAVAIL;
	}
	l->fd = net_open_tcp(found);
	freeaddrinfo(found);
	r = l->fd < 0 ? l->fd : listener_ask_place(l);
	if (r)
		buf_printf(why, "http://%s:%s: %s", host, port, uv_strerror(r));
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

static int listener_start(struct listener *l, const char *address, struct buf *why)
{
	int r = listen(l->fd, NET_BACKLOG) < 0 ? -errno : 0;

	if (!r)
		r = uv_poll_init(l->net->loop, &l->poll, l->fd);
	if (r < 0) {
		buf_printf(why, "%s: %s", address, uv_strerror(r));
		return r;
	}
	l->poll.data = l;
	uv_poll_start(&l->poll, UV_READABLE, listener_ready);
	list_push_back(&l->net->listeners, &l->link);
	return 0;
}

static struct listener *listener_new(struct net *n, int fd, const struct exchange_handler *handler)
{
	struct listener *l = mem_new(struct listener);

	l->net = n;
	l->handler = handler;
	l->fd = fd;
	list_init(&l->link);
	return l;
}

/* The end of opening one, `r` being what came of it so far. */
static int listener_begin(struct listener *l, int r, const char *name, struct listener **ret,
			  struct buf *why)
{
	if (!r)
		r = listener_start(l, name, why);
	if (r) {
		listener_free(l);
		return err_origin(r);
	}
	if (ret)
		*ret = l;
	return 0;
}

int net_listen(struct net *n, const char *address, const struct exchange_handler *handler,
	       struct listener **ret, struct buf *why)
{
	struct listener *l = listener_new(n, -1, handler);

	return listener_begin(l, net_bind(l, address, why), address, ret, why);
}

/* What we accept from it must be a stream, and accepting must not wait. */
static int listener_check_given(struct listener *l)
{
	int type = 0, listens = 0, flags;
	socklen_t n = sizeof(type), m = sizeof(listens);

	if (getsockopt(l->fd, SOL_SOCKET, SO_TYPE, &type, &n) < 0 ||
	    getsockopt(l->fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &m) < 0)
		return -errno;
	if (type != SOCK_STREAM || !listens)
		return -EINVAL;
	flags = fcntl(l->fd, F_GETFL);
	return flags < 0 || fcntl(l->fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

int net_listen_on(struct net *n, int fd, const char *name, const struct exchange_handler *handler,
		  struct listener **ret, struct buf *why)
{
	struct listener *l = listener_new(n, fd, handler);
	int r = listener_check_given(l);

	if (!r)
		r = listener_ask_place(l);
	if (r)
		buf_printf(why, "%s: not a TCP or Unix socket that listens for streams: %s", name,
			   uv_strerror(r));
	return listener_begin(l, r, name, ret, why);
}

int listener_port(const struct listener *l)
{
	return l->port;
}
