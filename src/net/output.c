/* SPDX-License-Identifier: Apache-2.0 */
#include "net/conn.h"

/*
 * Answers to the socket, several in one writev when they are ready. What the kernel does not take
 * at once is left to libuv; a small remainder is copied, so that the memory it came from goes back
 * early.
 */

#include "base/clock.h"
#include "loop/turn.h"

static size_t output_total(const uv_buf_t *bufs, unsigned n)
{
	size_t total = 0;

	for (unsigned i = 0; i < n; i++)
		total += bufs[i].len;
	return total;
}

static void output_written(uv_write_t *w, int status)
{
	struct conn *c = w->data;

	TURN(w->handle);
	c->writing = false;
	if (c->closed)
		return;
	conn_wait_output(c, false);
	if (status < 0) {
		conn_doom(c);
		return;
	}
	/* libuv has sent exactly what was gathered then; nothing was put before it since. */
	h1_sent(c, c->queued);
	conn_touch(c);
}

/* Hands the rest to libuv; what it holds stays where it is until output_written(). */
static bool output_queue(struct conn *c)
{
	uv_buf_t bufs[NET_IOV];
	unsigned n;

	h1_copy_tail(c, NET_TAIL_COPY);
	n = h1_gather(c, bufs, NET_IOV);
	c->queued = output_total(bufs, n);
	c->write.data = c;
	c->writing = uv_write(&c->write, &c->h.stream, bufs, n, output_written) == 0;
	c->queue_seen = uv_stream_get_write_queue_size(&c->h.stream);
	conn_wait_output(c, c->writing);
	return c->writing;
}

size_t output_gone(const struct conn *c)
{
	return c->writing ? c->queued - uv_stream_get_write_queue_size(&c->h.stream) : 0;
}

bool output_send(struct conn *c)
{
	uv_buf_t bufs[NET_IOV];
	unsigned n;
	int r;

	/* What ends may answer what comes after it on this connection: then there is more. */
	while ((n = h1_gather(c, bufs, NET_IOV))) {
		r = uv_try_write(&c->h.stream, bufs, n);
		if (r < 0 && r != UV_EAGAIN)
			return false;
		if (r > 0)
			h1_sent(c, (size_t)r);
		if (r < 0 || (size_t)r < output_total(bufs, n))
			return output_queue(c);
		h1_reap(c);
		if (c->doomed)
			return false;
	}
	h1_reap(c);
	return !c->doomed;
}
