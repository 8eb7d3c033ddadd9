/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/version.h"

/*
 * A version's two kinds of waiting requests: those of sequences, each in its lane and bound to one
 * worker, and all others in the common queue.
 */

#include <limits.h>

#include "base/clock.h"
#include "fleet/fleet.h"
#include "fleet/worker.h"
#include "log/log.h"
#include "wire/frame.h"

/* The worker that held a sequence may drop what it keeps for it. */
static void version_sequence_freed(void *arg, const struct sequence *q)
{
	(void)arg;
	worker_sequence_over(q->place, slice_make(q->id, q->id_len));
}

void version_sequences_configure(struct version *v)
{
	const struct manifest *m = &v->manifest;
	struct sequence_policy p = {
		.max_waiting = (unsigned)MAX(m->max_sequence_job_queue_size, 1),
		.idle_ns = (uint64_t)MAX(m->sequence_max_idle_ms, 0) * NS_PER_MS,
		.timeout_ns = (uint64_t)MAX(m->sequence_timeout_ms, 0) * NS_PER_MS,
		.overlap = m->continuous_batching,
	};

	sequences_init(&v->sequences, &p);
	v->sequences.freed = version_sequence_freed;
	v->sequences.arg = v;
}

unsigned version_waiting(const struct version *v)
{
	return v->queue.n + v->sequences.n_waiting;
}

/* A worker's batch has one of each. */
static unsigned version_max_sequences(const struct version *v)
{
	uint64_t at_once = (uint64_t)v->max_workers * v->batch_size;

	return (unsigned)MIN(MAX((uint64_t)MAX(v->manifest.max_num_sequence, 1), at_once),
			     UINT_MAX);
}

int version_enqueue(struct version *v, struct request *r, uint64_t now_ns)
{
	int refused;

	if (!v->manifest.sequence_batching || !r->sequence_id.n)
		return queue_push(&v->queue, r) == QUEUE_FULL ? VERSION_QUEUE_FULL : 0;
	/* Without a time after which they end, sequences of clients that left would fill the model.
	 */
	if (!v->sequences.policy.idle_ns)
		return VERSION_SEQUENCE_REFUSED;
	v->sequences.policy.max_sequences = version_max_sequences(v);
	refused = sequences_push(&v->sequences, r, now_ns);
	return refused ? VERSION_SEQUENCE_REFUSED : 0;
}

void version_dequeue(struct version *v, struct request *r)
{
	if (r->sequence)
		sequences_remove(&v->sequences, r, clock_now_ns());
	else
		queue_remove(&v->queue, r);
	if (!list_empty(&v->sequences.stranded))
		version_touch(v);
}

void version_return(struct version *v, struct request *r)
{
	if (r->sequence)
		sequences_return(&v->sequences, r);
	else
		queue_return(&v->queue, r);
}

struct request *version_overdue(struct version *v, uint64_t now_ns)
{
	struct request *r = queue_expire(&v->queue, now_ns);

	return r ? r : sequences_overdue(&v->sequences, now_ns);
}

struct request *version_any_waiting(struct version *v)
{
	struct request *r = queue_first(&v->queue);

	if (!r)
		return sequences_any(&v->sequences, clock_now_ns());
	queue_remove(&v->queue, r);
	return r;
}

/* Once for all that are to be placed: there may be very many. */
static void version_count_sequences(struct version *v)
{
	list_for_each (n, &v->workers)
		container_of(n, struct worker, link)->n_sequences = 0;
	map_for_each (e, &v->sequences.all) {
		struct worker *w = ((struct sequence *)e->value)->place;

		if (w)
			w->n_sequences++;
	}
}

/* A sequence begins where the fewest are. */
void version_place_sequences(struct version *v)
{
	struct sequence *q = sequences_unplaced(&v->sequences, NULL);

	if (q)
		version_count_sequences(v);
	for (; q; q = sequences_unplaced(&v->sequences, q)) {
		struct worker *least = NULL;

		list_for_each (n, &v->workers) {
			struct worker *w = container_of(n, struct worker, link);

			if (w->state == WORKER_READY && !w->killed &&
			    (!least || w->n_sequences < least->n_sequences))
				least = w;
		}
		if (!least)
			return;
		q->place = least;
		least->n_sequences++;
	}
}

unsigned version_take(struct version *v, const struct worker *w, size_t bytes_max, uint64_t now_ns,
		      struct batch *out, uint64_t *ret_wake_ns)
{
	static const struct batch_cost unknown;
	/* What batches cost that run side by side on the same cores says nothing of what it gains
	 * to wait for others: they are taken as they come. */
	const struct batch_cost *cost = w->async ? &unknown : &v->cost;
	struct batch_policy policy = v->policy;
	uint64_t wake_ns = UINT64_MAX;
	unsigned n;

	policy.bytes_max = bytes_max;
	version_goal_bound(v, &policy);
	if (policy.batch_size > 1 && v->queue.n > 1 && !w->async) {
		policy.workers = version_ready_workers(v);
		policy.idle = version_idle_workers(v);
	}
	n = batch_take(&policy, cost, &v->queue, now_ns, out, ret_wake_ns);
	policy.workers = 0;
	if (n || !v->sequences.n_waiting)
		return n;
	n = sequences_take(&v->sequences, &policy, cost, w, now_ns, out, &wake_ns);
	*ret_wake_ns = MIN(*ret_wake_ns, wake_ns);
	return n;
}

/* ---- answers ---- */

/* The values of the header that ends sequences: ids, separated by semicolons. */
static void version_end_named(struct version *v, struct slice headers, const struct worker *w,
			      uint64_t now_ns)
{
	struct slice key = slice_str(v->fleet->settings->ts_header_key_sequence_end);
	struct slice name, value;

	while (frame_header_next(&headers, &name, &value) > 0) {
		if (!slice_ieq(name, key))
			continue;
		while (value.p) {
			struct slice id = slice_trim(slice_cut(&value, ';'));

			if (id.n)
				sequences_end(&v->sequences, id, w, now_ns);
		}
	}
}

void version_sequence_answered(struct version *v, struct request *r, const struct reply *reply,
			       uint64_t now_ns)
{
	/* First, while its own request still counts as running: what ends then is not freed yet. */
	version_end_named(v, reply->headers, r->place, now_ns);
	sequences_answered(&v->sequences, r, now_ns, reply->final);
}

/* ---- a worker goes ---- */

/* An answer may cancel others of these: see version_cancel(). */
static void version_fail_all(struct version *v, struct list *failed, int status,
			     const char *message)
{
	struct list *n;

	while ((n = list_pop(failed))) {
		struct request *r = container_of(n, struct request, link);

		assert(r->failing);
		r->failing = false;
		version_fail(v, r, status, message);
	}
}

void version_fail_stranded(struct version *v)
{
	version_fail_all(v, &v->sequences.stranded, 503,
			 "The request that was to start its sequence anew has not run.");
}

void version_worker_leaves(struct version *v, const struct worker *w, int status,
			   const char *message)
{
	struct list failed = LIST_INIT(failed);

	if (!v->manifest.sequence_batching)
		return;
	sequences_leave(&v->sequences, w, clock_now_ns(), &failed);
	list_for_each (m, &failed)
		container_of(m, struct request, link)->failing = true;
	version_fail_all(v, &failed, status, message);
}
