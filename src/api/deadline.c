/* SPDX-License-Identifier: Apache-2.0 */
#include "api/deadline.h"

#include <stdlib.h>

#include "api/call.h"
#include "base/clock.h"
#include "base/mem.h"
#include "loop/turn.h"

static void deadlines_arm(struct deadlines *d);

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

static void deadlines_fire(uv_timer_t *t)
{
	struct deadlines *d = t->data;
	uint64_t now_ns = clock_now_ns();

	TURN(t);
	while (!list_empty(&d->calls)) {
		struct call *c = container_of(list_first(&d->calls), struct call, timed);

		if (c->request.deadline_ns > now_ns)
			break;
		deadline_passed(c);
	}
	deadlines_arm(d);
}

static void deadlines_arm(struct deadlines *d)
{
	uint64_t now_ns = clock_now_ns(), at_ns;

	if (list_empty(&d->calls)) {
		uv_timer_stop(d->timer);
		return;
	}
	at_ns = container_of(list_first(&d->calls), struct call, timed)->request.deadline_ns;
	uv_update_time(d->timer->loop);
	uv_timer_start(d->timer, deadlines_fire,
		       at_ns > now_ns ? (at_ns - now_ns) / NS_PER_MS + 1 : 0, 0);
}

void deadlines_init(struct deadlines *d, uv_loop_t *loop)
{
	list_init(&d->calls);
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
	uv_close((uv_handle_t *)d->timer, deadlines_closed);
}

void deadline_start(struct call *c)
{
	struct deadlines *d = &c->api->deadlines;
	struct list *after = list_last(&d->calls);

	/* One model's calls come in the order of their deadlines. */
	while (after && container_of(after, struct call, timed)->request.deadline_ns >
				c->request.deadline_ns)
		after = after->prev == &d->calls ? NULL : after->prev;
	list_add_after(after ? after : &d->calls, &c->timed);
	if (list_first(&d->calls) == &c->timed)
		deadlines_arm(d);
}

void deadline_stop(struct call *c)
{
	list_remove(&c->timed);
}
