/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/version.h"

/*
 * A version and its latency goal: what core/goal.h asks of its workers and its queue, and what it
 * learns from answers. Nobody who was admitted is dropped for the goal; who misses it is counted.
 */

#include "base/clock.h"
#include "base/util.h"
#include "fleet/worker.h"

static struct goal_state version_goal_state(const struct version *v)
{
	return (struct goal_state){ .goal_ns = v->latency_goal_ms * NS_PER_MS,
				    .cost = &v->cost,
				    .learnt = &v->goal,
				    .batch_size = v->policy.batch_size,
				    .waiting = version_waiting(v),
				    .ready_ns = UINT64_MAX };
}

/* A worker that runs batches side by side has a place for each; another has one, which is free when
 * all that it was sent is done. */
static void goal_add_worker(struct goal_state *s, const struct worker *w, uint64_t now_ns)
{
	uint64_t left_ns = 0;

	list_for_each (n, &w->flights) {
		const struct flight *fl = container_of(n, struct flight, link);
		uint64_t ran_ns = w->async || !left_ns ? now_ns - fl->sent_ns : 0;

		if (w->async)
			goal_add_place(s, goal_left_ns(s, fl->n, ran_ns));
		else
			left_ns += goal_left_ns(s, fl->n, ran_ns);
	}
	if (!w->async)
		goal_add_place(s, left_ns);
	for (unsigned i = w->n_flights; w->async && i < w->credits; i++)
		goal_add_place(s, 0);
}

/* When one that is being loaded, or waits to be, may be ready: as long as the last one took. */
static uint64_t goal_ready_ns(const struct version *v, const struct worker *w, uint64_t now_ns)
{
	uint64_t ran_ns = w->state == WORKER_WAITING ? 0 : now_ns - w->began_ns;

	return v->load_ns > ran_ns ? v->load_ns - ran_ns : 0;
}

/* … with its workers. */
static struct goal_state version_goal_now(const struct version *v, uint64_t now_ns)
{
	struct goal_state s = version_goal_state(v);

	list_for_each (n, &v->workers) {
		const struct worker *w = container_of(n, struct worker, link);

		if (w->state == WORKER_READY && !w->killed)
			goal_add_worker(&s, w, now_ns);
		else if (worker_is_prospect(w))
			s.ready_ns = MIN(s.ready_ns, goal_ready_ns(v, w, now_ns));
	}
	return s;
}

struct goal_forecast version_forecast(const struct version *v, uint64_t now_ns)
{
	struct goal_state s = version_goal_now(v, now_ns);

	return goal_forecast(&s);
}

uint64_t version_wait_ns(const struct version *v, uint64_t now_ns)
{
	struct goal_state s = version_goal_now(v, now_ns);

	return goal_wait_ns(&s);
}

bool version_goal_refuses(struct version *v, struct request *r)
{
	struct goal_forecast f;

	r->goal_ns = r->expected_ns = r->begun_ns = 0;
	if (!v->latency_goal_ms || r->op != REQUEST_PREDICT)
		return false;
	r->goal_ns = r->queued_ns + v->latency_goal_ms * NS_PER_MS;
	/* Its worker alone has the state: what cannot go elsewhere is not sent away. */
	if (v->manifest.sequence_batching && r->sequence_id.n)
		return false;
	f = version_forecast(v, r->queued_ns);
	r->expected_ns = f.expected_ns;
	if (f.answer == GOAL_ADMIT)
		return false;
	metric_add(v->metrics.goal_refusals, 1);
	return true;
}

void version_goal_bound(const struct version *v, struct batch_policy *p)
{
	struct goal_state s = version_goal_state(v);

	if (!v->latency_goal_ms)
		return;
	p->max_delay_ns = goal_delay_ns(&s, p->max_delay_ns);
	p->batch_size = goal_batch_size(&s);
}

void version_goal_answered(struct version *v, struct request *r, const struct reply *reply,
			   uint64_t now_ns)
{
	if (r->cancelled)
		return;
	if (r->goal_ns && !r->begun_ns) {
		r->begun_ns = now_ns;
		metric_add(v->metrics.goal_misses, now_ns > r->goal_ns);
		/* The death of a worker says nothing of the next request. */
		if (r->expected_ns && !reply->error && !r->retried)
			goal_learn_error(&v->goal, now_ns - r->queued_ns, r->expected_ns,
					 r->batched);
	}
	if (reply->final && !reply->error)
		goal_learn_hold(&v->goal, now_ns - r->sent_ns,
				(r->begun_ns ? r->begun_ns : now_ns) - r->sent_ns);
}
