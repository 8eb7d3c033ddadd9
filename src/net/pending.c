/* SPDX-License-Identifier: Apache-2.0 */
#include "net/exchange.h"

/* The API layer's side of an exchange: giving the answer. */

#include "base/clock.h"
#include "base/mem.h"
#include "net/conn.h"

#define NET_EXCHANGES_KEPT 256

struct pending_exchange *pending_take(struct conn *c)
{
	struct net *n = c->net;
	struct list *l = list_pop(&n->free_exchanges);
	struct pending_exchange *e;
	struct region region;

	if (l) {
		n->n_free--;
		e = pending_of(container_of(l, struct exchange, link));
		region = e->x.region;
	} else {
		e = mem_new(struct pending_exchange);
		region_init(&region);
	}
	*e = (struct pending_exchange){
		.x = { .conn = c, .region = region, .began_ns = clock_now_ns() }
	};
	list_push_back(&c->exchanges, &e->x.link);
	c->n_exchanges++;
	return e;
}

void pending_finish(struct pending_exchange *e, enum exchange_end how)
{
	struct conn *c = e->x.conn;
	struct net *n = c->net;

	pieces_release(e);
	if (c->incoming == e) {
		c->incoming = NULL;
		if (e->x.sink && !e->body_done)
			e->x.sink->ops->abort(e->x.sink);
	}
	list_remove(&e->x.link);
	c->n_exchanges--;
	if (e->x.handler)
		e->x.handler->done(e->x.handler->ctx, &e->x, how);
	if (n->n_free >= NET_EXCHANGES_KEPT) {
		region_finish(&e->x.region);
		free(e);
		return;
	}
	region_reset(&e->x.region);
	list_push_front(&n->free_exchanges, &e->x.link);
	n->n_free++;
}

static void pending_add(struct pending_exchange *e, struct payload p)
{
	struct piece *k = region_new(&e->x.region, struct piece);

	*k = (struct piece){ .p = p.p, .n = p.n, .release = p.release, .arg = p.arg };
	if (e->last)
		e->last->next = k;
	else
		e->first = k;
	e->last = k;
	e->pending += p.n;
}

static bool pending_bodiless(int status)
{
	return status == 204 || status == 304 || status < 200;
}

static void pending_head(struct pending_exchange *e, const struct answer *a, uint64_t length)
{
	struct conn *c = e->x.conn;
	struct http1_answer h = { .status = a->status,
				  .minor = e->x.head.minor,
				  .reason = a->reason,
				  .headers = a->headers,
				  .content_length = length };
	char *p;

	e->begun = true;
	e->x.status = a->status;
	e->head_only = slice_eq(e->x.head.method, SLICE("HEAD")) || pending_bodiless(a->status);
	e->chunked = h.chunked = length == HTTP_LENGTH_UNKNOWN && e->x.head.minor > 0;
	e->until_close = length == HTTP_LENGTH_UNKNOWN && !e->chunked;
	/* A client that was not told to go on will not send its body: nothing can follow. While
	 * draining, those that were read ahead are still answered. */
	e->close = h.close = a->close || e->until_close || !e->x.head.keep_alive ||
			     (e->x.head.expect_continue && !e->body_done && c->incoming != e) ||
			     (c->close_after && list_last(&c->exchanges) == &e->x.link);
	p = region_alloc(&e->x.region,
			 HTTP1_HEAD_ROOM + (a->reason.p ? a->reason.n : 0) + a->headers.n);
	pending_add(e, (struct payload){ .p = p, .n = http1_write_head(p, &h) });
}

static void payload_release(struct payload p)
{
	if (p.release)
		p.release(p.arg);
}

void exchange_reply(struct exchange *x, const struct answer *a, struct payload body)
{
	struct pending_exchange *e = pending_of(x);

	assert(!e->begun);
	pending_head(e, a, body.n);
	e->finished = true;
	if (e->head_only || !body.n) {
		payload_release(body);
	} else {
		x->bytes_sent += body.n;
		pending_add(e, body);
	}
	conn_flush(x->conn);
}

void exchange_begin(struct exchange *x, const struct answer *a)
{
	struct pending_exchange *e = pending_of(x);

	assert(!e->begun);
	pending_head(e, a, HTTP_LENGTH_UNKNOWN);
	conn_flush(x->conn);
}

void exchange_chunk(struct exchange *x, struct payload data)
{
	struct pending_exchange *e = pending_of(x);
	char *size;

	assert(e->begun && !e->finished);
	if (e->head_only || e->aborted || !data.n) {
		payload_release(data);
		return;
	}
	x->bytes_sent += data.n;
	if (e->chunked) {
		size = region_alloc(&x->region, 24);
		pending_add(e, (struct payload){ .p = size,
						 .n = http1_write_chunk_size(size, data.n) });
	}
	pending_add(e, data);
	if (e->chunked)
		pending_add(e, (struct payload){ .p = "\r\n", .n = 2 });
	conn_flush(x->conn);
}

void exchange_finish(struct exchange *x)
{
	struct pending_exchange *e = pending_of(x);

	assert(e->begun && !e->finished);
	if (e->chunked && !e->head_only)
		pending_add(e, (struct payload){ .p = "0\r\n\r\n", .n = 5 });
	e->finished = true;
	conn_flush(x->conn);
}

void exchange_abort(struct exchange *x)
{
	struct pending_exchange *e = pending_of(x);

	assert(e->begun && !e->finished);
	e->finished = e->aborted = e->close = true;
	conn_flush(x->conn);
}

size_t exchange_pending(const struct exchange *x)
{
	return ((const struct pending_exchange *)(const void *)x)->pending;
}

const char *exchange_peer(const struct exchange *x)
{
	return x->conn->peer;
}
