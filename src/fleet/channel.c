/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/util.h"
#include "loop/turn.h"

#define CHANNEL_FDS_MAX 4
#define CHANNEL_BURST 64 /* frames read per wake-up, so that one worker cannot starve the loop */
#define CHANNEL_BURST_NS (2 * NS_PER_MS) /* … nor with few that take long */
/* More than the kernel keeps for a socket: what comes beyond is written while we read. */
#define CHANNEL_DRAIN_FRAMES 8192
#define CHANNEL_DRAIN_BYTES ((size_t)4 << 20)

struct channel_packet {
	struct list link;
	int fds[CHANNEL_FDS_MAX];
	unsigned n_fds;
	bool told; /* by channel_tell() */
	size_t n;
	char data[];
};

static void channel_ready(uv_poll_t *p, int status, int events);

int channel_open(struct channel *c, uv_loop_t *loop, int *ret_peer)
{
	int pair[2];
	int r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_origin(-errno);
	fcntl(pair[0], F_SETFL, O_NONBLOCK);
	c->fd = pair[0];
	c->poll = mem_new(uv_poll_t);
	c->poll->data = c;
	c->pending_bytes = c->told_bytes = 0;
	c->pending_fds = 0;
	c->bytes_max = CHANNEL_BYTES_MAX;
	c->fds_max = CHANNEL_FDS_PENDING_MAX;
	c->overrun = false;
	list_init(&c->pending);
	r = uv_poll_init(loop, c->poll, c->fd);
	if (!r)
		r = uv_poll_start(c->poll, UV_READABLE, channel_ready);
	if (r) {
		free(TAKE(c->poll));
		close(pair[0]);
		close(pair[1]);
		return err_origin(r);
	}
	*ret_peer = pair[1];
	return 0;
}

/* Takes it off what is kept. */
static void channel_drop(struct channel *c, struct channel_packet *p)
{
	assert(c->pending_bytes >= p->n && c->pending_fds >= p->n_fds);
	list_remove(&p->link);
	c->pending_bytes -= p->n;
	c->told_bytes -= p->told ? p->n : 0;
	c->pending_fds -= p->n_fds;
	c->moved_ns = clock_now_ns();
	for (unsigned i = 0; i < p->n_fds; i++)
		close(p->fds[i]);
	free(p);
}

static void channel_closed(uv_handle_t *h)
{
	free(h);
}

void channel_close(struct channel *c)
{
	struct list *n;

	if (!c->poll)
		return;
	uv_poll_stop(c->poll);
	uv_close((uv_handle_t *)TAKE(c->poll), channel_closed);
	close(c->fd);
	c->fd = -1;
	while ((n = list_first(&c->pending)))
		channel_drop(c, container_of(n, struct channel_packet, link));
	assert(!c->pending_bytes && !c->told_bytes && !c->pending_fds);
}

static int channel_write(int fd, const char *p, size_t n, const int *fds, unsigned n_fds)
{
	union {
		char buf[CMSG_SPACE(sizeof(int) * CHANNEL_FDS_MAX)];
		struct cmsghdr align;
	} control;
	struct iovec iov = { (void *)(uintptr_t)p, n };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *h;

	if (n_fds) {
		memset(&control, 0, sizeof(control));
		m.msg_control = control.buf;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		h = CMSG_FIRSTHDR(&m);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(h), fds, sizeof(int) * n_fds);
	}
	for (;;) {
		if (sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
			return 0;
		if (errno != EINTR)
			return -errno;
	}
}

static bool channel_has_room(const struct channel *c, size_t n, unsigned n_fds)
{
	return !c->overrun && c->pending_bytes - c->told_bytes + n <= c->bytes_max &&
	       c->pending_fds + n_fds <= c->fds_max;
}

/* Told once; nothing more is kept for it. */
static void channel_fail(struct channel *c, const char *why)
{
	bool known = c->overrun;

	c->overrun = true;
	if (!known)
		c->broken(c, why);
}

static int channel_keep(struct channel *c, struct slice packet, bool told, const int *fds,
			unsigned n_fds)
{
	struct channel_packet *p;

	if (!told && !channel_has_room(c, packet.n, n_fds)) {
		channel_fail(c, "it does not read what it is sent");
		return -ENOBUFS;
	}
	p = mem_alloc(sizeof(*p) + packet.n);
	p->n = packet.n;
	p->told = told;
	p->n_fds = 0;
	memcpy(p->data, packet.p, packet.n);
	if (list_empty(&c->pending))
		c->moved_ns = clock_now_ns();
	list_push_back(&c->pending, &p->link);
	c->pending_bytes += p->n;
	c->told_bytes += told ? p->n : 0;
	for (unsigned i = 0; i < n_fds; i++) {
		int fd = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);

		if (fd < 0) {
			int r = -errno;

			channel_drop(c, p);
			return err_origin(r);
		}
		p->fds[p->n_fds++] = fd;
		c->pending_fds++;
	}
	uv_poll_start(c->poll, UV_READABLE | UV_WRITABLE, channel_ready);
	return 0;
}

static int channel_put(struct channel *c, struct slice packet, bool told, const int *fds,
		       unsigned n_fds)
{
	int r;

	assert(n_fds <= CHANNEL_FDS_MAX && packet.n && packet.n <= FRAME_MAX);
	if (!c->poll)
		return -ENOTCONN;
	if (list_empty(&c->pending)) {
		r = channel_write(c->fd, packet.p, packet.n, fds, n_fds);
		if (r != -EAGAIN && r != -ENOBUFS)
			return r;
	}
	return channel_keep(c, packet, told, fds, n_fds);
}

int channel_send(struct channel *c, struct slice packet, const int *fds, unsigned n_fds)
{
	return channel_put(c, packet, false, fds, n_fds);
}

int channel_tell(struct channel *c, struct slice packet)
{
	return channel_put(c, packet, true, NULL, 0);
}

static void channel_flush(struct channel *c)
{
	struct list *n;

	while ((n = list_first(&c->pending))) {
		struct channel_packet *p = container_of(n, struct channel_packet, link);
		int r = channel_write(c->fd, p->data, p->n, p->fds, p->n_fds);

		if (r == -EAGAIN || r == -ENOBUFS)
			return;
		channel_drop(c, p);
		/* A dead peer is noticed by the reading side; another must not miss one of many. */
		if (r && r != -EPIPE && r != -ECONNRESET) {
			channel_fail(c, "what it is sent cannot be written");
			return;
		}
	}
	uv_poll_start(c->poll, UV_READABLE, channel_ready);
}

/* A peer that closes with something unread resets the connection, of which the kernel tells once,
 * and before what the peer had sent. */
static ssize_t channel_read(int fd, struct msghdr *m)
{
	ssize_t n = recvmsg(fd, m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	return n < 0 && errno == ECONNRESET ? recvmsg(fd, m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) : n;
}

/* > 0: bytes of the frame that was delivered, 0: nothing there, < 0: stop. */
static int channel_receive(struct channel *c)
{
	static _Alignas(8) char buffer[FRAME_MAX];
	struct iovec iov = { buffer, sizeof(buffer) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct frame f;
	ssize_t n = channel_read(c->fd, &m);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) {
		/* The pid tells of the end; until it does there is nothing to read. */
		uv_poll_stop(c->poll);
		c->broken(c, NULL);
		return -ENOTCONN;
	}
	if ((m.msg_flags & MSG_TRUNC) || frame_read(slice_make(buffer, (size_t)n), &f) < 0) {
		uv_poll_stop(c->poll);
		c->broken(c, "it sent a packet that is not a frame");
		return -EBADMSG;
	}
	return c->received(c, &f) < 0 ? -EBADMSG : (int)n;
}

static void channel_ready(uv_poll_t *p, int status, int events)
{
	struct channel *c = p->data;
	uint64_t began_ns;

	TURN(p);
	began_ns = turn_now_ns(p->loop);
	/* A reset: libuv looks no more, but what was sent before it is still there. */
	if (status < 0 && uv_poll_start(p, UV_READABLE, channel_ready) < 0)
		return;
	if (events & UV_WRITABLE)
		channel_flush(c);
	for (int i = 0; i < CHANNEL_BURST && c->poll == p; i++)
		if (channel_receive(c) <= 0 || clock_now_ns() - began_ns > CHANNEL_BURST_NS)
			return;
}

void channel_drain(struct channel *c)
{
	size_t bytes = 0;
	int n = 1;

	for (int i = 0; i < CHANNEL_DRAIN_FRAMES && n > 0 && bytes < CHANNEL_DRAIN_BYTES; i++) {
		n = c->poll ? channel_receive(c) : 0;
		bytes += (size_t)MAX(n, 0);
	}
}
