/* SPDX-License-Identifier: Apache-2.0 */
#include "core/batch.h"

#include <math.h>

#include "base/util.h"

#define COST_FORGET 0.95 /* weight of what was known when a batch is added */
#define COST_FADE (4095.0 / 4096)
#define COST_ENOUGH 3.0 /* batches' worth of weight before it is believed */
#define GAP_FORGET 0.9
#define GAP_FORGET_LONG 0.99
#define GAP_MAX_NS 1e10 /* a pause is not a rate */

static double gap_mean(double before, double gap, double forget)
{
	return before > 0 ? forget * before + (1 - forget) * gap : gap;
}

void batch_cost_arrival(struct batch_cost *c, uint64_t now_ns)
{
	double gap = (double)(now_ns - c->last_arrival_ns);

	if (c->last_arrival_ns && gap < GAP_MAX_NS) {
		c->gap_ns = gap_mean(c->gap_ns, gap, GAP_FORGET);
		c->long_gap_ns = gap_mean(c->long_gap_ns, gap, GAP_FORGET_LONG);
	}
	c->last_arrival_ns = now_ns;
}

void batch_cost_learn(struct batch_cost *c, unsigned n, uint64_t took_ns)
{
	double x = n, t = (double)took_ns;

	assert(n > 0);
	c->weight = COST_FORGET * c->weight + 1;
	c->sum_n = COST_FORGET * c->sum_n + x;
	c->sum_t = COST_FORGET * c->sum_t + t;
	c->sum_nn = COST_FORGET * c->sum_nn + x * x;
	c->sum_nt = COST_FORGET * c->sum_nt + x * t;
}

void batch_cost_frame(struct batch_cost *c, uint64_t took_ns)
{
	c->slow_ns = MAX(c->slow_ns * COST_FADE, (double)took_ns);
}

/* Least squares of t = a + c·n. False: too few batches, or of one size only. */
bool batch_cost_line(const struct batch_cost *c, double *a_ns, double *c_ns)
{
	double spread = c->weight * c->sum_nn - c->sum_n * c->sum_n;
	double slope;

	if (c->weight < COST_ENOUGH * 0.9 || spread < 1e-6 * c->sum_nn * c->weight)
		return false;
	slope = MAX((c->weight * c->sum_nt - c->sum_n * c->sum_t) / spread, 0);
	*a_ns = (c->sum_t - slope * c->sum_n) / c->weight;
	if (*a_ns < 0) {
		*a_ns = 0;
		slope = c->sum_t / c->sum_n;
	}
	*c_ns = slope;
	return true;
}

/* With one batch size only, all of it counts as c, so that nothing is expected of waiting before a
 * larger batch has been seen. */
bool batch_cost_get(const struct batch_cost *c, double *a_ns, double *c_ns)
{
	if (c->weight < COST_ENOUGH * 0.9)
		return false;
	if (!batch_cost_line(c, a_ns, c_ns)) {
		*a_ns = 0;
		*c_ns = c->sum_t / c->sum_n;
	}
	return true;
}

uint64_t batch_cost_estimate(const struct batch_cost *c, unsigned n)
{
	double a, per;

	if (!batch_cost_get(c, &a, &per))
		return 0;
	return (uint64_t)MAX(a + per * n, 1);
}

static bool batch_alone(const struct request *r)
{
	return r->retried || r->op == REQUEST_DESCRIBE;
}

/* How many requests at the head may share a batch. */
static unsigned batch_available(const struct batch_policy *p, const struct queue *q,
				uint64_t *ret_deadline_ns)
{
	const struct request *first = NULL;
	size_t bytes = 0;
	unsigned n = 0;

	*ret_deadline_ns = UINT64_MAX;
	list_for_each (l, &q->requests) {
		const struct request *r = container_of(l, struct request, link);

		if (n && (batch_alone(r) || r->op != first->op))
			break;
		bytes += r->encoded;
		if (p->bytes_max && bytes > p->bytes_max)
			break;
		first = first ? first : r;
		if (r->deadline_ns)
			*ret_deadline_ns = MIN(*ret_deadline_ns, r->deadline_ns);
		n++;
		if (n == p->batch_size || batch_alone(r))
			break;
	}
	return n;
}

/* Until when a batch of `n` waits for one more; now_ns or less: not at all. */
static uint64_t batch_patience(const struct batch_policy *p, const struct batch_cost *cost,
			       const struct request *oldest, unsigned n, uint64_t now_ns)
{
	uint64_t limit = oldest->queued_ns + p->max_delay_ns;
	double a, c;

	if (p->mode == BATCH_FIXED)
		return limit;
	if (cost->gap_ns <= 0 || !batch_cost_get(cost, &a, &c))
		return now_ns;
	if (a - cost->gap_ns <= n * (cost->gap_ns + c))
		return now_ns;
	/* One expected gap; if nothing has come by then, the rate was misjudged. */
	return MIN(limit, cost->last_arrival_ns + (uint64_t)(2 * cost->gap_ns));
}

/* What one size costs says nothing of others: another one is tried, near those that are known. */
static unsigned batch_explore(const struct batch_cost *cost, unsigned n)
{
	double usual;

	if (cost->weight < COST_ENOUGH * 0.9)
		return n;
	usual = cost->sum_n / cost->weight;
	return usual < 1.5 ? 2 : (unsigned)MIN(usual / 2 + 0.5, n);
}

/*
 * How many of the `n` that may go together go now. While w workers take batches of m, the q that
 * wait become fewer by w·m/(a + c·m) − λ in a unit of time, and each is held for its batch:
 * together they wait for (q + w·m)·(a + c·m) / (w·m − λ·(a + c·m)), up to a factor. This is the m
 * for which that is least. Without arrivals it is √(a·q/(c·w)); the closer λ comes to what the
 * workers can do, the larger it is. Workers that are idle share what there is.
 */
static unsigned batch_want(const struct batch_policy *p, const struct batch_cost *cost,
			   const struct queue *q, unsigned n)
{
	double a, c, w = p->workers, waiting = q->n, rate, spare, inner, want;
	unsigned idle = MAX(p->idle, 1);

	if (p->mode == BATCH_FIXED || !p->workers || n < 2)
		return n;
	if (!batch_cost_line(cost, &a, &c))
		return batch_explore(cost, n);
	rate = cost->long_gap_ns > 0 ? 1 / cost->long_gap_ns : 0;
	spare = w - rate * c;
	if (spare <= 0 || c <= 0)
		return n;
	inner = rate * (w * a + c * waiting) + spare * waiting;
	want = (rate * a + sqrt(rate * rate * a * a + spare / (w * c) * a * inner)) / spare;
	want = MIN(MAX(want, 1), n);
	return MIN((unsigned)want, (n + idle - 1) / idle);
}

unsigned batch_take(const struct batch_policy *p, const struct batch_cost *cost, struct queue *q,
		    uint64_t now_ns, struct batch *out, uint64_t *ret_wake_ns)
{
	uint64_t deadline_ns, until_ns;
	unsigned n = batch_available(p, q, &deadline_ns);
	struct request *first = queue_first(q);
	bool full = n == p->batch_size || (first && batch_alone(first)) || n < q->n;

	*ret_wake_ns = UINT64_MAX;
	list_init(&out->requests);
	out->n = 0;
	out->bytes = 0;
	if (!n)
		return 0;
	if (!full) {
		until_ns = MIN(batch_patience(p, cost, first, n, now_ns), deadline_ns);
		if (until_ns > now_ns) {
			*ret_wake_ns = until_ns;
			return 0;
		}
	}
	n = batch_want(p, cost, q, n);
	while (out->n < n) {
		struct request *r = queue_first(q);

		queue_remove(q, r);
		list_push_back(&out->requests, &r->link);
		out->bytes += r->encoded;
		out->n++;
	}
	return n;
}
