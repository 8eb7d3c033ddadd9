/* SPDX-License-Identifier: Apache-2.0 */
#include "net/conn.h"

/*
 * Answers to the socket: the oldest exchange first, several in one writev when they are ready. What
 * the kernel does not take at once is left to libuv; a small remainder is copied, so that the
 * memory it came from goes back early.
 */

#include "base/mem.h"

static void piece_done(struct pending_exchange *e)
{
	struct piece *k = e->first;

	e->first = k->next;
	if (!e->first)
		e->last = NULL;
	if (k->release)
		k->release(k->arg);
}

void pieces_release(struct pending_exchange *e)
{
	while (e->first)
		piece_done(e);
	e->pending = 0;
}

/* Gathers what may go out now: pieces of the oldest exchange, and of the next ones as long as those
 * before them are complete. */
static unsigned output_gather(struct conn *c, uv_buf_t *bufs)
{
	unsigned n = 0;

	list_for_each (l, &c->exchanges) {
		struct pending_exchange *e = pending_of(container_of(l, struct exchange, link));

		for (struct piece *k = e->first; k && n < NET_IOV; k = k->next)
			bufs[n++] = uv_buf_init((char *)(uintptr_t)k->p, (unsigned)k->n);
		if (!e->finished || e->close || n == NET_IOV)
			break;
	}
	return n;
}

/* The kernel took n bytes. */
static void output_advance(struct conn *c, size_t n)
{
	list_for_each (l, &c->exchanges) {
		struct pending_exchange *e = pending_of(container_of(l, struct exchange, link));

		while (e->first && n) {
			size_t part = MIN(n, e->first->n);

			e->first->p += part;
			e->first->n -= part;
			e->pending -= part;
			n -= part;
			if (e->first->n)
				return;
			piece_done(e);
		}
		if (!n)
			return;
	}
}

static void output_written(uv_write_t *w, int status);

static void output_copy_tail(struct pending_exchange *e)
{
	struct piece *k = e->first;
	char *copy;

	if (!k || !k->release || e->pending > NET_TAIL_COPY)
		return;
	for (; k; k = k->next) {
		if (!k->release)
			continue;
		copy = region_strndup(&e->x.region, k->p, k->n);
		k->release(k->arg);
		k->release = NULL;
		k->p = copy;
	}
}

/* Hands the rest to libuv; what it holds stays pinned until output_written(). */
static void output_queue(struct conn *c)
{
	uv_buf_t bufs[NET_IOV];
	unsigned n;

	output_copy_tail(
		pending_of(container_of(list_first(&c->exchanges), struct exchange, link)));
	c->n_queued = n = output_gather(c, bufs);
	c->writing = true;
	c->write.data = c;
	if (uv_write(&c->write, &c->h.stream, bufs, n, output_written) < 0) {
		c->writing = false;
		conn_close(c);
		return;
	}
	c->queue_seen = uv_stream_get_write_queue_size(&c->h.stream);
	conn_wait(c, WAIT_WRITE);
}

/* Exchanges whose answers are out are over. False: the connection is gone. */
static bool output_reap(struct conn *c)
{
	while (c->n_exchanges) {
		struct pending_exchange *e = pending_of(
			container_of(list_first(&c->exchanges), struct exchange, link));
		bool last = e->close, aborted = e->aborted, unread = !e->body_done;

		if (!e->finished || e->first)
			break;
		/* The answer came before the whole request: what follows of it is dropped. */
		if (unread && !last && c->body_known && c->body_left > NET_LINGER_BYTES)
			last = true;
		if (unread && last)
			c->linger = true;
		pending_finish(e, aborted ? EXCHANGE_GONE : EXCHANGE_SENT);
		if (last) {
			c->close_after = true;
			c->linger &= !aborted;
			while (c->n_exchanges)
				pending_finish(pending_of(container_of(list_first(&c->exchanges),
								       struct exchange, link)),
					       EXCHANGE_GONE);
		}
		if (c->closing)
			return false;
	}
	return true;
}

/* 1: all out; 0: waiting for the socket; -1: the connection is gone. */
static int output_try(struct conn *c)
{
	uv_buf_t bufs[NET_IOV];
	unsigned n;
	size_t total;
	int r;

	while ((n = output_gather(c, bufs))) {
		total = 0;
		for (unsigned i = 0; i < n; i++)
			total += bufs[i].len;
		r = uv_try_write(&c->h.stream, bufs, n);
		if (r < 0 && r != UV_EAGAIN) {
			conn_close(c);
			return -1;
		}
		if (r > 0)
			output_advance(c, (size_t)r);
		if (r < 0 || (size_t)r < total) {
			output_queue(c);
			return c->closing ? -1 : 0;
		}
		if (!output_reap(c))
			return -1;
	}
	return output_reap(c) ? 1 : -1;
}

void conn_flush(struct conn *c)
{
	if (c->corked || c->writing || c->closing)
		return;
	/* done() may answer the next exchange: that is picked up by this loop, not by recursion. */
	c->corked = true;
	if (output_try(c) < 0)
		return;
	c->corked = false;
	conn_settle(c);
}

static void output_written(uv_write_t *w, int status)
{
	struct conn *c = w->data;
	uv_buf_t bufs[NET_IOV];
	size_t total = 0;
	unsigned n;

	c->writing = false;
	if (c->closing)
		return;
	if (status < 0) {
		conn_close(c);
		return;
	}
	/* libuv has sent exactly what was gathered then; nothing was added before it since. */
	n = MIN(output_gather(c, bufs), c->n_queued);
	for (unsigned i = 0; i < n; i++)
		total += bufs[i].len;
	output_advance(c, total);
	conn_flush(c);
}
