/* SPDX-License-Identifier: Apache-2.0 */
#include "core/dispatch.h"

#include "base/util.h"

unsigned dispatch_frame_batches(const struct dispatch_policy *p, uint64_t estimate_ns,
				uint64_t slowest_ns, unsigned queued_requests, unsigned batch_size,
				unsigned workers, unsigned inflight_frames)
{
	bool brief = p->frame_batching && estimate_ns && estimate_ns < DISPATCH_SHORT_NS &&
		     slowest_ns < DISPATCH_LONG_NS;
	unsigned queued, share;

	assert(batch_size > 0);
	if (!brief)
		return inflight_frames == 0;
	if (inflight_frames >= 2)
		return 0;
	queued = (queued_requests + batch_size - 1) / batch_size;
	share = (queued + MAX(workers, 1) - 1) / MAX(workers, 1);
	share = MIN(share, DISPATCH_BATCHES_MAX);
	share = MIN(share, (unsigned)(DISPATCH_FRAME_NS / estimate_ns));
	return MAX(share, 1);
}

unsigned dispatch_concurrent_batches(unsigned credits, unsigned inflight, unsigned running,
				     unsigned next)
{
	unsigned most = credits;

	if (inflight && !running != !next)
		return 0;
	if (running)
		most = MIN(most, running);
	if (next)
		most = MIN(most, next);
	return inflight < most ? most - inflight : 0;
}

unsigned dispatch_beside(const struct request *r, const struct dispatch_death *d)
{
	unsigned n = 1;

	if (!d->concurrent || r->retried)
		return 1;
	while (n * n < d->begun)
		n++;
	return n;
}

enum dispatch_fate dispatch_after_death(const struct request *r, const struct dispatch_death *d)
{
	bool late = r->deadline_ns && r->deadline_ns <= d->now_ns;
	bool begun = r->batch <= d->started_batch ||
		     (d->first && r->unbegun >= DISPATCH_UNBEGUN_MAX);
	bool suspect = d->concurrent && r->batch <= d->started_batch ? !d->for_another
								     : r->batch >= d->started_batch;

	if (r->cancelled)
		return FATE_DROP;
	/* Whatever the worker has noted: what has begun to answer had begun. */
	if (d->timed_out || r->answered)
		return FATE_FAIL;
	if (!begun)
		return FATE_REQUEUE;
	/* It was by itself, so it is the one. */
	if (suspect && r->retried && (r->beside <= 1 || d->begun <= 1))
		return FATE_FAIL;
	if (!d->retry || late)
		return FATE_FAIL;
	/* A batch before the last had come to its end, only its answers were lost; one beside that
	 * which hung has nothing to do with it. */
	return suspect ? FATE_RETRY : FATE_REQUEUE;
}
