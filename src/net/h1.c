/* SPDX-License-Identifier: Apache-2.0 */
#include "net/h1.h"

/*
 * Requests: bytes through the parser to exchanges. Everything is bounded: what is read ahead by the
 * number of exchanges and one receive buffer, what is dropped by NET_LINGER_BYTES.
 */

#include "base/clock.h"
#include "net/conn.h"

#define H1_AHEAD ((size_t)8192) /* of a request that was read ahead, beside its head */
#define H1_STASH_FREE ((size_t)4096)
#define H1_REFUSAL_MAX ((size_t)16 << 10)

size_t h1_ahead_bytes(const struct conn *c)
{
	return H1_AHEAD + c->net->limits.head_bytes;
}

void h1_init(struct conn *c)
{
	list_init(&c->h1.exchanges);
	http1_init(&c->h1.parser, &c->net->head_limits);
	buf_init(&c->h1.stash, NET_RECEIVE);
}

void h1_finish(struct conn *c)
{
	assert(!c->h1.n_exchanges && !c->h1.stash.n);
	http1_finish(&c->h1.parser);
}

/* ---- refusing ---- */

static void h1_answer_refusal(struct h1_exchange *e, int status, const char *why)
{
	const struct exchange_handler *h = e->conn->handler;
	struct buf headers = BUF_INIT(H1_REFUSAL_MAX), text = BUF_INIT(H1_REFUSAL_MAX);
	struct answer a = { .status = status, .close = true };
	struct slice copy;

	if (e->x.sink)
		e->x.sink->ops->abort(e->x.sink);
	e->x.sink = NULL;
	h->refusal(h->ctx, e->x.handler ? &e->x : NULL, status, why, &headers, &text);
	a.headers = region_copy(&e->x.region, buf_slice(&headers));
	copy = region_copy(&e->x.region, buf_slice(&text));
	buf_finish(&headers);
	buf_finish(&text);
	exchange_reply(&e->x, &a, (struct payload){ .p = copy.p, .n = copy.n });
}

void h1_refuse(struct conn *c, int status, const char *why)
{
	struct h1 *h = &c->h1;
	struct h1_exchange *e = h->body.reading ? h->body.of : NULL;

	if (h->refused || c->doomed)
		return;
	h->refused = c->linger = true;
	conn_wait(c, WAIT_NONE);
	conn_touch(c);
	if (h->body.reading && !e) {
		/* Its request was answered long ago. */
		c->close_after = true;
	} else if (e && (e->api || e->x.out.begun)) {
		/* It has its answer, or will: what is wrong now only ends the connection. */
		e->close = true;
	} else if (e) {
		e->x.handler = c->handler;
		h1_answer_refusal(e, status, why);
	} else {
		h1_answer_refusal(h1_exchange_take(c), status, why);
	}
}

/* ---- heads ---- */

static const char *h1_head_error(int status)
{
	return status == 413   ? "The request body is too large."
	       : status == 417 ? "The only expectation that can be met is 100-continue."
	       : status == 501 ? "This Transfer-Encoding is not supported: only chunked is."
			       : "Invalid HTTP message.";
}

/* A head is complete. False: nothing more can be read. */
static bool h1_head(struct conn *c)
{
	struct h1 *h = &c->h1;
	struct h1_exchange *e = h1_exchange_take(c);
	int status = http1_head(&h->parser, &e->x.region, &e->x.head);
	uint64_t length = e->x.head.content_length;

	/* It arrived in time: the next one has time of its own, and so has the pause before it. */
	conn_wait(c, WAIT_NONE);
	h->body = (struct h1_body){ .reading = true,
				    .known = length != HTTP_LENGTH_UNKNOWN,
				    .began_ms = e->x.began_ns / NS_PER_MS,
				    .of = e };
	h->body.left = h->body.known ? length : 0;
	if (status)
		c->net->stats.bad_requests_total++;
	else if (h->body.known && length > c->net->limits.body_bytes)
		status = 413;
	if (status) {
		h1_refuse(c, status, h1_head_error(status));
		return false;
	}
	h->large = h->body.left > NET_RECEIVE;
	if (!e->x.head.keep_alive)
		h->last_request = true;
	if (!length) {
		h->body = (struct h1_body){ 0 };
		http1_body_taken(&h->parser);
	}
	e->x.handler = c->handler;
	e->api = true;
	e->x.handler->head(e->x.handler->ctx, &e->x);
	net_count(c->net, (unsigned)(e->x.out.pending / NET_WEIGHED));
	return !length || h1_body_begin(c, e);
}

/* ---- input ---- */

static bool h1_between_requests(const struct conn *c)
{
	return !c->h1.body.reading && !c->h1.parser.started;
}

bool h1_idle(const struct conn *c)
{
	return h1_between_requests(c) && !c->h1.n_exchanges && !c->h1.stash.n;
}

/* Bytes of answers that wait for the client, or for those before them. */
static size_t h1_untaken(const struct conn *c)
{
	size_t n = 0;

	list_for_each (l, &c->h1.exchanges)
		n += container_of(l, struct exchange, link)->out.pending;
	return n;
}

/* May nothing be read ahead now? The first request needs no leave: so it goes on once there is
 * none. */
static bool h1_is_full(const struct conn *c)
{
	unsigned n = c->h1.n_exchanges;

	return n && (n >= c->net->limits.pipelined || h1_untaken(c) >= NET_UNTAKEN ||
		     !budget_fits(c->net->budget, h1_ahead_bytes(c)));
}

/* One step of the parser. False: stop. */
static bool h1_step(struct conn *c, struct slice *in)
{
	struct h1 *h = &c->h1;
	size_t eaten = 0;
	enum http1_event event;

	if (h->body.reading && h->body.known)
		return h1_body_known(c, in);
	event = http1_feed(&h->parser, *in, &eaten);
	if (event != HTTP1_REFUSE)
		*in = slice_make(in->p + eaten, in->n - eaten);
	switch (event) {
	case HTTP1_HEAD:
		return h1_head(c);
	case HTTP1_BODY:
		return h1_body_piece(c);
	case HTTP1_END:
		h1_body_end(c);
		return true;
	case HTTP1_REFUSE:
		c->net->stats.bad_requests_total++;
		h1_refuse(c, h->parser.status, h->parser.why);
		return false;
	default:
		return in->n > 0;
	}
}

/* A few requests that came with one that is answered may wait in any case. */
static size_t h1_stash_bytes(size_t n)
{
	return n > H1_STASH_FREE ? n : 0;
}

/* Others are waiting, too. */
static bool h1_gives_way(const struct conn *c, struct slice in)
{
	return c->net->late && in.n && budget_fits(c->net->budget, h1_stash_bytes(in.n));
}

/* What may not be read ahead waits, and reading stops until there is room. Without memory for that
 * it is refused, behind the answers of those before it. */
static void h1_stash(struct conn *c, struct slice in)
{
	if (!budget_take(c->net->budget, h1_stash_bytes(in.n))) {
		h1_refuse(c, 503, H1_NO_MEMORY);
		return;
	}
	conn_stop_reading(c);
	buf_put_slice(&c->h1.stash, in);
}

static struct buf h1_unstash(struct conn *c)
{
	struct buf stash = c->h1.stash;

	buf_init(&c->h1.stash, NET_RECEIVE);
	budget_give(c->net->budget, h1_stash_bytes(stash.n));
	return stash;
}

void h1_drop_stash(struct conn *c)
{
	struct buf stash = h1_unstash(c);

	buf_finish(&stash);
}

static void h1_input(struct conn *c, struct slice in)
{
	struct h1 *h = &c->h1;

	while (!c->doomed && !c->lingering && !h->refused) {
		if (h1_between_requests(c) && (c->close_after || h->last_request) && h->n_exchanges)
			break;
		if (h1_between_requests(c) && (h1_is_full(c) || h1_gives_way(c, in))) {
			h1_stash(c, in);
			break;
		}
		if (!in.n || !h1_step(c, &in))
			break;
	}
	conn_touch(c);
}

void h1_room(struct conn *c, char **p, size_t *n)
{
	struct h1_body *b = &c->h1.body;
	bool dropped = c->h1.refused || c->lingering;

	*p = c->net->receive;
	*n = c->h1.large && !b->reading && !dropped ? NET_RECEIVE_HEAD : NET_RECEIVE;
	if (!b->reading || !b->known || !b->of || !b->of->x.sink || dropped)
		return;
	if (!h1_body_room(c, (size_t)MIN(b->left, SIZE_MAX), p, n)) {
		*p = c->net->receive;
		*n = NET_RECEIVE;
	} else if (*n > b->left) {
		*n = (size_t)b->left;
	}
}

void h1_arrived(struct conn *c, const char *p, size_t n)
{
	if (c->lingering || c->h1.refused) {
		c->dropped += n;
		if (c->dropped > NET_LINGER_BYTES)
			conn_doom(c);
		else
			conn_linger_on(c);
	} else if (p == c->net->receive) {
		h1_input(c, slice_make(p, n));
	} else {
		h1_body_arrived(c, n);
		c->satisfied = !c->h1.body.reading;
		conn_touch(c);
	}
}

void h1_resume(struct conn *c)
{
	struct buf stash;

	if (!c->h1.stash.n || h1_is_full(c))
		return;
	stash = h1_unstash(c);
	h1_input(c, buf_slice(&stash));
	buf_finish(&stash);
}

/* ---- waiting, the end of input ---- */

int h1_waits_for(const struct conn *c)
{
	if (c->h1.refused)
		return WAIT_NONE;
	if (c->h1.body.reading)
		return h1_body_invites(c) ? WAIT_NONE : WAIT_BODY;
	if (c->h1.parser.started)
		return WAIT_HEAD;
	return c->h1.n_exchanges ? WAIT_NONE : WAIT_IDLE;
}

static bool h1_all_answered(const struct conn *c)
{
	list_for_each (l, &c->h1.exchanges)
		if (!container_of(l, struct exchange, link)->out.finished)
			return false;
	return true;
}

/* A client that ends its side while it waits has left, unless it had said that this request would
 * be its last: then it may only have closed its sending half. */
bool h1_half_closed(const struct conn *c)
{
	const struct h1 *h = &c->h1;

	return h->n_exchanges &&
	       (h->refused || (!h->body.reading && (h->last_request || h1_all_answered(c))));
}
