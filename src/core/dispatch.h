/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * How much to send to a worker, and what becomes of a request whose worker died. Pure.
 *
 * Frame batching is not model batching: a frame may carry several batches, each one call of the
 * handler. It pays only where a handler is shorter than the time it takes to wake a process.
 */

#include <stdbool.h>
#include <stdint.h>

#include "core/request.h"

#define DISPATCH_SHORT_NS UINT64_C(100000)  /* a handler this short is worth several per frame */
#define DISPATCH_FRAME_NS UINT64_C(1000000) /* a frame holds at most this much work */
#define DISPATCH_BATCHES_MAX 8
/* Answers leave with the last of their frame. Where one lately took so long, others do not share a
 * frame with the next such one. */
#define DISPATCH_LONG_NS UINT64_C(20000000)
/* A worker says itself what it has begun. Of one that says nothing, what it had first is held to be
 * begun when that has happened so often. */
#define DISPATCH_UNBEGUN_MAX 2

struct dispatch_policy {
	bool frame_batching;
};

/* How many batches the next frame for one worker may carry; 0: no credit now. `estimate_ns`:
 * expected time of one batch, 0 when unknown; `slowest_ns`: of the slowest lately. `workers`: ready
 * workers that could share the queue. */
unsigned dispatch_frame_batches(const struct dispatch_policy *p, uint64_t estimate_ns,
				uint64_t slowest_ns, unsigned queued_requests, unsigned batch_size,
				unsigned workers, unsigned inflight_frames);

/* The same for a worker that runs its batches side by side. What was begun on a worker that died
 * runs with its like only, and no more of them at once than dispatch_beside() says (`next`: of what
 * is at the head of the queue, `running`: of what runs; 0: it is not suspected), so that nothing
 * else dies with it once more. */
unsigned dispatch_concurrent_batches(unsigned credits, unsigned inflight, unsigned running,
				     unsigned next);

enum dispatch_fate {
	FATE_REQUEUE, /* not what killed the worker: back to the head of the queue */
	FATE_RETRY,   /* begun: once more, beside no more than dispatch_beside() says */
	FATE_FAIL,
	FATE_DROP, /* nobody waits for it */
};

struct dispatch_death {
	uint64_t started_batch; /* the last that the worker had begun */
	unsigned begun;         /* how many it had begun, side by side */
	uint64_t now_ns;
	bool concurrent;  /* batches ran side by side: any that was begun may be the culprit */
	bool retry;       /* what was begun may be run again */
	bool timed_out;   /* this batch was not answered in time: it had its turn */
	bool for_another; /* it was ended for a batch that hung while others went on */
	bool first;       /* nothing that the worker had been given was before it */
};

enum dispatch_fate dispatch_after_death(const struct request *r, const struct dispatch_death *d);
/* Of one that is run again: how many of its like may run at once, itself included. At first as many
 * as there are groups of that size, then it is by itself: so of many that ran side by side one that
 * kills its worker kills three at most, and the others do not wait for each other one by one. */
unsigned dispatch_beside(const struct request *r, const struct dispatch_death *d);
