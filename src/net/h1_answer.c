/* SPDX-License-Identifier: Apache-2.0 */
#include "net/h1.h"

/*
 * Answers: what exchanges have recorded becomes bytes, the oldest exchange first, those behind it
 * as long as all before them are complete. An exchange is over when its last byte is with the
 * kernel.
 */

#include <string.h>

#include "base/mem.h"
#include "loop/turn.h"
#include "net/conn.h"

#define H1_EXCHANGES_KEPT 256

static struct h1_exchange *h1_exchange_of(struct exchange *x)
{
	return container_of(x, struct h1_exchange, x);
}

/* The first n bytes of a piece with what is around it, or all of it. */
struct piece_share {
	size_t frame, data, tail;
};

static struct piece_share piece_share(const struct piece *k, size_t n)
{
	struct piece_share s = { .frame = MIN(n, k->frame_n) };

	s.data = MIN(n - s.frame, k->n);
	s.tail = MIN(n - s.frame - s.data, k->tail_n);
	return s;
}

static struct h1_exchange *h1_oldest(const struct conn *c)
{
	return h1_exchange_of(container_of(list_first(&c->h1.exchanges), struct exchange, link));
}

static void h1_touched(struct exchange *x)
{
	conn_touch(h1_exchange_of(x)->conn);
}

static const char *h1_peer(const struct exchange *x)
{
	return ((const struct h1_exchange *)(const void *)x)->conn->peer;
}

/* What libuv was given are the pieces of the oldest exchanges, in order. */
static uint64_t h1_delivered(const struct exchange *x)
{
	const struct conn *c = ((const struct h1_exchange *)(const void *)x)->conn;
	size_t gone = output_gone(c), left = x->out.pending;

	list_for_each (l, &c->h1.exchanges) {
		const struct exchange *y = container_of(l, struct exchange, link);

		for (const struct piece *k = y->out.first; k && gone; k = k->next) {
			struct piece_share s = piece_share(k, gone);

			gone -= s.frame + s.data + s.tail;
			left -= y == x ? s.data : 0;
		}
		if (y == x)
			break;
	}
	/* A head is pending, too. */
	return x->bytes_sent - MIN(left, x->bytes_sent);
}

static const struct carrier h1_carrier = { .touched = h1_touched,
					   .peer = h1_peer,
					   .delivered = h1_delivered };

/* ---- life ---- */

struct h1_exchange *h1_exchange_take(struct conn *c)
{
	struct net *n = c->net;
	struct list *l = list_pop(&n->free_exchanges);
	struct h1_exchange *e;
	struct region region;

	if (l) {
		n->n_free--;
		e = h1_exchange_of(container_of(l, struct exchange, link));
		region = e->x.region;
	} else {
		e = mem_new(struct h1_exchange);
		region_init(&region);
	}
	*e = (struct h1_exchange){
		.x = { .carrier = &h1_carrier, .region = region, .began_ns = turn_now_ns(n->loop) },
		.conn = c
	};
	c->heard = false;
	net_count(n, 1);
	if (c->h1.n_exchanges && budget_take(n->budget, h1_ahead_bytes(c)))
		e->charged = h1_ahead_bytes(c);
	list_push_back(&c->h1.exchanges, &e->x.link);
	c->h1.n_exchanges++;
	return e;
}

static void h1_exchange_free(struct net *n, struct h1_exchange *e)
{
	if (n->n_free >= H1_EXCHANGES_KEPT) {
		region_finish(&e->x.region);
		free(e);
		return;
	}
	region_reset(&e->x.region);
	list_push_front(&n->free_exchanges, &e->x.link);
	n->n_free++;
}

static void h1_over(struct h1_exchange *e, enum exchange_end how)
{
	struct conn *c = e->conn;
	struct h1_body *b = &c->h1.body;

	assert(c->net->turning);
	exchange_drop_pieces(&e->x);
	if (b->of == e) {
		/* Its body is still on its way: the connection's from now on. */
		b->of = NULL;
		if (e->x.sink)
			e->x.sink->ops->abort(e->x.sink);
	}
	list_remove(&e->x.link);
	c->h1.n_exchanges--;
	if (e->x.handler)
		e->x.handler->done(e->x.handler->ctx, &e->x, how);
	budget_give(c->net->budget, e->charged);
	h1_exchange_free(c->net, e);
}

bool h1_would_look_whole(const struct conn *c)
{
	return c->h1.n_exchanges && h1_oldest(c)->until_close;
}

void h1_abandon(struct conn *c)
{
	while (c->h1.n_exchanges)
		h1_over(h1_oldest(c), EXCHANGE_GONE);
}

/* ---- framing ---- */

/* Will nothing follow on this connection? */
static bool h1_closes(const struct h1_exchange *e)
{
	const struct conn *c = e->conn;
	const struct h1_body *b = &c->h1.body;
	const struct exchange_out *o = &e->x.out;
	bool unread = b->reading && b->of == e;

	if (e->close || o->answer.close || e->until_close || !e->x.head.keep_alive)
		return true;
	/* A client that was not told to go on will not send its body; one that is too long is not
	 * waited for. */
	if (unread && ((e->x.head.expect_continue && !e->continued) ||
		       (b->known && b->left > NET_LINGER_BYTES)))
		return true;
	/* While draining, those that were read ahead are still answered. */
	return c->close_after && list_last(&c->h1.exchanges) == &e->x.link;
}

static void h1_frame_head(struct h1_exchange *e)
{
	const struct exchange_out *o = &e->x.out;
	struct http1_answer h = { .status = o->answer.status,
				  .minor = e->x.head.minor,
				  .reason = o->answer.reason,
				  .headers = o->answer.headers,
				  .content_length = o->length,
				  .no_length = o->answer.status == 204 || o->answer.status == 304 };
	bool stream = o->length == HTTP_LENGTH_UNKNOWN && !h.no_length;
	char *p;

	e->framed = true;
	e->chunked = h.chunked = stream && e->x.head.minor > 0;
	e->until_close = stream && !e->chunked;
	e->close = h.close = h1_closes(e);
	p = region_bytes(&e->x.region, HTTP1_HEAD_ROOM + h.reason.n + h.headers.n);
	exchange_put_first(&e->x, p, http1_write_head(p, &h));
}

static void h1_frame_pieces(struct h1_exchange *e)
{
	struct exchange_out *o = &e->x.out;

	for (struct piece *k = o->unframed; k && e->chunked; k = k->next) {
		k->frame_n = (uint8_t)http1_write_chunk_size(k->frame, k->n);
		k->tail_n = 2;
	}
	o->unframed = NULL;
	if (!o->finished || e->ended)
		return;
	e->ended = true;
	if (e->chunked && !o->bodiless && !o->aborted)
		exchange_put_last(&e->x, "0\r\n\r\n", 5);
}

/* Puts HTTP/1 around what was recorded since the last time. An invitation to send the body that
 * has not gone yet must go before the head. */
static void h1_frame(struct h1_exchange *e)
{
	const struct exchange_out *o = &e->x.out;

	if (!o->begun)
		return;
	if (!e->framed && o->first && o->first != o->unframed)
		return;
	if (!e->framed)
		h1_frame_head(e);
	if (o->unframed || (o->finished && !e->ended))
		h1_frame_pieces(e);
}

/* ---- bytes ---- */

static unsigned piece_buffers(const struct piece *k, uv_buf_t *bufs)
{
	static char crlf[] = "\r\n";
	unsigned n = 0;

	if (k->frame_n)
		bufs[n++] = uv_buf_init((char *)(uintptr_t)k->frame + k->frame_at, k->frame_n);
	/* uv_buf_init() takes 32 bits of a length: of four gibibytes none would ever go. */
	if (k->n)
		bufs[n++] = (uv_buf_t){ .base = (char *)(uintptr_t)k->p, .len = k->n };
	if (k->tail_n)
		bufs[n++] = uv_buf_init(crlf + 2 - k->tail_n, k->tail_n);
	return n;
}

/* Takes off what has gone of one piece; returns how much of n that was. */
static size_t piece_sent(struct exchange *x, struct piece *k, size_t n)
{
	struct piece_share s = piece_share(k, n);

	k->frame_at = (uint8_t)(k->frame_at + s.frame);
	k->frame_n = (uint8_t)(k->frame_n - s.frame);
	k->p += s.data;
	k->n -= s.data;
	x->out.pending -= s.data;
	k->tail_n = (uint8_t)(k->tail_n - s.tail);
	return s.frame + s.data + s.tail;
}

unsigned h1_gather(struct conn *c, uv_buf_t *bufs, unsigned max)
{
	unsigned n = 0;

	list_for_each (l, &c->h1.exchanges) {
		struct h1_exchange *e = h1_exchange_of(container_of(l, struct exchange, link));

		h1_frame(e);
		for (struct piece *k = e->x.out.first; k && k != e->x.out.unframed && n + 3 <= max;
		     k = k->next)
			n += piece_buffers(k, bufs + n);
		/* Behind one that broke off nothing may follow. */
		if (!e->ended || e->close || e->x.out.aborted || n + 3 > max)
			break;
	}
	return n;
}

void h1_sent(struct conn *c, size_t n)
{
	list_for_each (l, &c->h1.exchanges) {
		struct exchange *x = container_of(l, struct exchange, link);

		while (x->out.first && n) {
			struct piece *k = x->out.first;

			n -= piece_sent(x, k, n);
			if (k->frame_n || k->n || k->tail_n)
				return;
			exchange_piece_done(x);
		}
		if (!n)
			return;
	}
	assert(!n);
}

void h1_copy_tail(struct conn *c, size_t max)
{
	struct exchange *x = &h1_oldest(c)->x;

	if (x->out.pending > max)
		return;
	for (struct piece *k = x->out.first; k; k = k->next) {
		void *copy;

		if (!k->release || k->release == free || !k->n)
			continue;
		copy = mem_alloc(k->n);
		memcpy(copy, k->p, k->n);
		k->release(k->arg);
		k->release = free;
		k->p = k->arg = copy;
	}
}

void h1_reap(struct conn *c)
{
	while (c->h1.n_exchanges) {
		struct h1_exchange *e = h1_oldest(c);
		bool unread = c->h1.body.reading && c->h1.body.of == e, close = e->close;

		if (!e->ended || e->x.out.first)
			return;
		if (e->x.out.aborted) {
			conn_doom(c);
			return;
		}
		h1_over(e, EXCHANGE_SENT);
		if (!close)
			continue;
		c->close_after = true;
		c->linger = c->linger || unread;
		h1_abandon(c);
	}
}
