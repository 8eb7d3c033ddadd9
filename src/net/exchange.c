/* SPDX-License-Identifier: Apache-2.0 */
#include "net/exchange.h"

/* Recording what is answered: no sockets, no protocol, no call but the carrier's touched(). */

#include "base/mem.h"
#include "base/util.h"

static struct piece *piece_take(struct exchange *x)
{
	struct exchange_out *o = &x->out;
	struct piece *k;

	if (o->n_pieces < EXCHANGE_PIECES) {
		k = &o->pieces[o->n_pieces++];
		*k = (struct piece){ 0 };
		return k;
	}
	k = mem_new(struct piece);
	k->own = true;
	return k;
}

static struct piece *exchange_add(struct exchange *x, struct payload p)
{
	struct exchange_out *o = &x->out;
	struct piece *k = piece_take(x);

	k->p = p.p;
	k->n = p.n;
	k->release = p.release;
	k->arg = p.arg;
	if (o->last)
		o->last->next = k;
	else
		o->first = k;
	o->last = k;
	o->pending += p.n;
	return k;
}

static void payload_release(struct payload p)
{
	if (p.release)
		p.release(p.arg);
}

static bool exchange_bodiless(const struct exchange *x, int status)
{
	return status == 204 || status == 304 || slice_eq(x->head.method, SLICE("HEAD"));
}

static void exchange_record(struct exchange *x, const struct answer *a, uint64_t length)
{
	struct exchange_out *o = &x->out;

	assert(!o->begun && a->status >= 200 && a->status < 1000);
	o->begun = true;
	o->answer = *a;
	o->answer.headers = region_copy(&x->region, a->headers);
	if (a->reason.p)
		o->answer.reason = region_copy(&x->region, a->reason);
	o->length = length;
	o->bodiless = exchange_bodiless(x, a->status);
	x->status = a->status;
	x->carrier->touched(x);
}

static void exchange_body(struct exchange *x, struct payload data)
{
	struct piece *k;

	if (x->out.bodiless || !data.n) {
		payload_release(data);
		return;
	}
	x->bytes_sent += data.n;
	k = exchange_add(x, data);
	if (!x->out.unframed)
		x->out.unframed = k;
}

void exchange_reply(struct exchange *x, const struct answer *a, struct payload body)
{
	exchange_record(x, a, body.n);
	exchange_body(x, body);
	x->out.finished = true;
}

void exchange_begin(struct exchange *x, const struct answer *a)
{
	exchange_record(x, a, HTTP_LENGTH_UNKNOWN);
}

void exchange_chunk(struct exchange *x, struct payload data)
{
	assert(x->out.begun && !x->out.finished);
	exchange_body(x, data);
	x->carrier->touched(x);
}

void exchange_finish(struct exchange *x)
{
	assert(x->out.begun && !x->out.finished);
	x->out.finished = true;
	x->carrier->touched(x);
}

void exchange_abort(struct exchange *x)
{
	assert(x->out.begun && !x->out.finished);
	x->out.finished = x->out.aborted = true;
	x->carrier->touched(x);
}

const char *exchange_peer(const struct exchange *x)
{
	return x->carrier->peer(x);
}

uint64_t exchange_delivered(const struct exchange *x)
{
	return x->carrier->delivered(x);
}

/* ---- for carriers ---- */

void exchange_put_first(struct exchange *x, const char *p, size_t n)
{
	struct exchange_out *o = &x->out;
	struct piece *k = piece_take(x);

	k->p = p;
	k->n = n;
	k->next = o->first;
	o->first = k;
	if (!o->last)
		o->last = k;
	o->pending += n;
}

void exchange_put_last(struct exchange *x, const char *p, size_t n)
{
	exchange_add(x, (struct payload){ .p = p, .n = n });
}

void exchange_piece_done(struct exchange *x)
{
	struct exchange_out *o = &x->out;
	struct piece *k = o->first;

	assert(k && o->pending >= k->n);
	o->pending -= k->n;
	o->first = k->next;
	if (!o->first)
		o->last = NULL;
	if (o->unframed == k)
		o->unframed = k->next;
	if (k->release)
		k->release(k->arg);
	if (k->own)
		free(k);
}

void exchange_drop_pieces(struct exchange *x)
{
	while (x->out.first)
		exchange_piece_done(x);
	assert(!x->out.pending);
}
