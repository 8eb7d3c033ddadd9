/* SPDX-License-Identifier: Apache-2.0 */
#include "api/deadline.h"

#include <stdlib.h>

#include "api/call.h"
#include "base/clock.h"
#include "base/mem.h"
#include "loop/turn.h"

#define DEADLINES_AT_ONCE 256 /* of one length, in a turn of the loop */

/* Calls that have the same time come in the order of their deadlines. Those of another model may
 * have less, and there may be very many: they are not looked through. */
struct term {
	struct list link;
	uint64_t ms;
	struct list calls;
};

static struct call *term_call(struct list *l)
{
	return container_of(l, struct call, timed);
}

static uint64_t term_first_ns(const struct term *t)
{
	return list_empty(&t->calls) ? UINT64_MAX
				     : term_call(list_first(&t->calls))->request.deadline_ns;
}

static struct term *term_find(struct deadlines *d, uint64_t ms)
{
	struct term *t;

	list_for_each (n, &d->terms) {
		t = container_of(n, struct term, link);
		if (t->ms == ms)
			return t;
	}
	t = mem_new(struct term);
	t->ms = ms;
	list_init(&t->calls);
	list_push_back(&d->terms, &t->link);
	return t;
}

static void deadline_passed(struct call *c)
{
	unsigned long long ms = c->version->client_timeout_ms;
	bool waited;

	metric_add(c->version->metrics.timeouts, 1);
	telemetry_answer(&c->version->metrics, 504);
	waited = version_cancel(c->version, &c->request);
	deadline_stop(c);
	c->running = !waited;
	c->abandoned = true;
	call_error(c, 504, "RequestTimeoutException",
		   waited ? "Request timed out: it waited for a worker for more than %llu ms "
			    "(clientTimeoutInMills)."
			  : "Request timed out: it took more than %llu ms (clientTimeoutInMills).",
		   ms);
}

static void term_passed(struct term *t, uint64_t now_ns)
{
	for (unsigned n = 0; n < DEADLINES_AT_ONCE && term_first_ns(t) <= now_ns; n++)
		deadline_passed(term_call(list_first(&t->calls)));
}

static void deadlines_arm(struct deadlines *d);

static void deadlines_fire(uv_timer_t *t)
{
	struct deadlines *d = t->data;
	uint64_t now_ns = clock_now_ns();

	TURN(t);
	list_for_each (n, &d->terms)
		term_passed(container_of(n, struct term, link), now_ns);
	deadlines_arm(d);
}

/* Terms without calls go: their models may, too. */
static uint64_t deadlines_first_ns(struct deadlines *d)
{
	uint64_t first_ns = UINT64_MAX;

	list_for_each_safe (n, &d->terms) {
		struct term *t = container_of(n, struct term, link);

		first_ns = MIN(first_ns, term_first_ns(t));
		if (!list_empty(&t->calls))
			continue;
		list_remove(&t->link);
		free(t);
	}
	return first_ns;
}

static void deadlines_arm(struct deadlines *d)
{
	uint64_t now_ns = clock_now_ns();

	d->at_ns = deadlines_first_ns(d);
	if (d->at_ns == UINT64_MAX) {
		uv_timer_stop(d->timer);
		return;
	}
	uv_update_time(d->timer->loop);
	uv_timer_start(d->timer, deadlines_fire,
		       d->at_ns > now_ns ? (d->at_ns - now_ns) / NS_PER_MS + 1 : 0, 0);
}

void deadlines_init(struct deadlines *d, uv_loop_t *loop)
{
	list_init(&d->terms);
	d->at_ns = UINT64_MAX;
	d->timer = mem_new(uv_timer_t);
	uv_timer_init(loop, d->timer);
	d->timer->data = d;
	uv_unref((uv_handle_t *)d->timer);
}

static void deadlines_closed(uv_handle_t *h)
{
	free(h);
}

void deadlines_finish(struct deadlines *d)
{
	deadlines_first_ns(d);
	assert(list_empty(&d->terms));
	uv_close((uv_handle_t *)d->timer, deadlines_closed);
}

void deadline_start(struct call *c)
{
	struct deadlines *d = &c->api->deadlines;

	list_push_back(&term_find(d, c->version->client_timeout_ms)->calls, &c->timed);
	if (c->request.deadline_ns < d->at_ns)
		deadlines_arm(d);
}

void deadline_stop(struct call *c)
{
	list_remove(&c->timed);
}
