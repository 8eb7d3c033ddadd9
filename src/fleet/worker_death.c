/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/worker.h"

/*
 * What becomes of the requests a dead worker had. What it had not begun goes back to the head of
 * the queue in the old order; what it had begun is run once more, alone, where that is allowed; so
 * a poisonous request kills at most two workers and then fails by itself. Of many that ran side by
 * side each runs in a small group first, and then alone: that makes three. Where we have ended it
 * for one of many that hung, it is known which: the others wait again, to run side by side.
 */

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "core/dispatch.h"
#include "core/sequence.h"
#include "fleet/worker_trace.h"
#include "log/log.h"

bool worker_may_retry(const struct worker *w)
{
	return w->shared->settings->retry && !w->model.manifest->sequence_batching;
}

static int worker_death_status(const struct worker *w, int status)
{
	/* A kill that was not ours is the kernel's, for memory. */
	return !w->killed && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? 507 : 500;
}

/* What those are told that had requests with it. */
struct worker_blame {
	int status;
	char client[96], log[128];
};

/* One that waits again has lost nothing. */
static void worker_report_request(const struct worker *w, const struct request *r,
				  enum dispatch_fate fate, const struct worker_blame *blame)
{
	struct log_subject about = tracer_subject(r->uuid, r->trace);

	worker_trace_died(w, r, fate, blame->log, clock_now_ns());
	if (fate == FATE_RETRY)
		log_about(LOG_SERVER, LOG_WARN, w->label, "sconce.worker", &about,
			  "Request %s is run once more, %s: %s", r->uuid,
			  r->beside > 1 ? "beside few" : "alone", blame->log);
	else if (fate == FATE_FAIL)
		log_about(LOG_SERVER, LOG_ERROR, w->label, "sconce.worker", &about,
			  "Request %s fails: %s", r->uuid, blame->log);
}

static void worker_settle_request(struct worker *w, struct request *r, enum dispatch_fate fate,
				  const struct worker_blame *blame)
{
	struct reply last = { .final = true, .error = true };

	r->place = NULL;
	r->grant = (struct span){ 0 };
	if (r->sequence && fate == FATE_REQUEUE && !sequence_may_return(r))
		fate = FATE_FAIL;
	worker_report_request(w, r, fate, blame);
	switch (fate) {
	case FATE_RETRY:
		r->retried = true;
		metric_add(w->model.metrics->retries, 1);
		/* fall through */
	case FATE_REQUEUE:
		r->batch = 0;
		w->ops->give_back(w->owner, r);
		return;
	case FATE_DROP:
	case FATE_FAIL:
		if (r->sequence)
			w->ops->sequence_answered(w->owner, r, &last, clock_now_ns());
		if (r->goal_ns)
			w->ops->timed(w->owner, r, &last, clock_now_ns());
		w->ops->release(w->owner);
		worker_reply_error(r, blame->status, blame->client);
		return;
	}
}

static void worker_settle_flight(struct worker *w, struct flight *fl,
				 const struct dispatch_death *death, const char *how, int status)
{
	unsigned long long limit = (unsigned long long)w->model.response_timeout_s;
	struct worker_blame blame = { .status = status };
	struct list *n;

	snprintf(blame.client, sizeof(blame.client), "Worker died.");
	snprintf(blame.log, sizeof(blame.log), "its worker %s", how);
	if (fl->late) {
		snprintf(blame.client, sizeof(blame.client),
			 "Worker died. No answer in %llu s (responseTimeout).", limit);
		snprintf(blame.log, sizeof(blame.log), "no answer in %llu s (responseTimeout)",
			 limit);
	}
	/* Each goes to the head of the queue, so the last one first. */
	while ((n = list_last(&fl->requests))) {
		struct request *r = container_of(n, struct request, link);
		enum dispatch_fate fate = dispatch_after_death(r, death);

		list_remove(n);
		r->unbegun += death->first && r->batch > death->started_batch;
		/* One that we stopped ourselves has nothing against its requests. */
		if (w->state == WORKER_STOPPING && !fl->late && fate == FATE_RETRY)
			fate = FATE_REQUEUE;
		if (fate == FATE_RETRY)
			r->beside = dispatch_beside(r, death);
		worker_settle_request(w, r, fate, &blame);
	}
	fl->left = 0;
	worker_flight_done(w, fl);
	flight_free(fl);
}

/* Where it stood still for all of them, any may be why. */
static bool worker_went_on(const struct worker *w, uint64_t now_ns)
{
	return now_ns < w->progress_ns + w->model.response_timeout_s * NS_PER_S / 2;
}

/* Batches that ran side by side. */
static unsigned worker_begun(const struct worker *w, uint64_t started)
{
	unsigned n = 0;

	list_for_each (l, &w->flights)
		n += container_of(l, struct flight, link)->seq <= started;
	return n;
}

void worker_fail_flights(struct worker *w, int status, const char *how, uint64_t now_ns)
{
	struct dispatch_death death = {
		.started_batch = w->memory ? outbound_started(w->memory->outbound) : 0,
		.now_ns = now_ns,
		.concurrent = w->async,
		.retry = worker_may_retry(w),
		.for_another = w->timed_out && worker_went_on(w, now_ns),
	};
	int code = worker_death_status(w, status);
	struct list *n;

	death.begun = worker_begun(w, death.started_batch);
	w->blames = death.begun > 0;
	worker_count_busy(w, now_ns);
	while ((n = list_last(&w->flights))) {
		struct flight *fl = container_of(n, struct flight, link);

		/* One that we stop may not have looked at it. */
		death.first = list_first(&w->flights) == n && w->state != WORKER_STOPPING;
		/* Those beside the one that hung have done nothing wrong; and where it lets its
		 * worker read nothing more, what was sent behind it has not had its turn. */
		death.timed_out =
			fl->late && (fl->seq <= death.started_batch || death.first);
		worker_settle_flight(w, fl, &death, how, code);
	}
	assert(list_empty(&w->flights));
	w->ops->leaves(w->owner, w, code, "Worker died.");
}
