/* SPDX-License-Identifier: Apache-2.0 */
#include "core/dispatch.h"

#include "base/util.h"

unsigned dispatch_frame_batches(const struct dispatch_policy *p, uint64_t estimate_ns,
				unsigned queued_requests, unsigned batch_size, unsigned workers,
				unsigned inflight_frames)
{
	bool brief = p->frame_batching && estimate_ns && estimate_ns < DISPATCH_SHORT_NS;
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

unsigned dispatch_concurrent_batches(unsigned credits, unsigned inflight, bool exclusive,
				     bool next_alone)
{
	if (exclusive || inflight >= credits)
		return 0;
	if (next_alone)
		return inflight ? 0 : 1;
	return credits - inflight;
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
	if (!d->retry || late || (suspect && r->retried))
		return FATE_FAIL;
	/* A batch before the last had come to its end, only its answers were lost; one beside that
	 * which hung has nothing to do with it. */
	return suspect ? FATE_RETRY_ALONE : FATE_REQUEUE;
}
