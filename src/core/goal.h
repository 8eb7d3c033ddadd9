/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A model's latency goal: from the receipt of a request until its answer begins. It bounds batches,
 * the wait for a fuller one, and what is admitted. Pure: time is an argument.
 *
 * A request that comes while a batch runs waits for that one and then for its own, so a batch may
 * take half of the goal. Batches of that size are what waits is thought to be run in; from that,
 * from what runs and from how wrong this has been lately follows when a request would be answered.
 * One that would be late is refused, unless a worker is free for it: later it would fare no better,
 * and what is learnt from it is the way back from an estimate that was too high.
 */

#include "core/batch.h"

#define GOAL_PLACES_MAX 64
#define GOAL_RETRY_MAX_S 60

/* What has been seen of a version's requests: exponentially forgetting means. */
struct goal_learnt {
	double hold_ns; /* time of a batch on a worker that runs some side by side; 0: unknown */
	double tail;    /* part of it that is left when the answer begins, as of a stream */
	double error_ns, deviation_ns; /* what the expected time lacked, and how much that varies */
};

/* What a request would meet now. */
struct goal_state {
	uint64_t goal_ns; /* 0: there is none */
	const struct batch_cost *cost;
	const struct goal_learnt *learnt;
	unsigned batch_size; /* what the goal does not bound */
	unsigned waiting;    /* requests before it */
	uint64_t ready_ns;   /* without any place: until there should be one */
	unsigned n_places;   /* batches that can run at the same time */
	unsigned n_left;     /* … and of those that are free first, until when: ascending */
	uint64_t left_ns[GOAL_PLACES_MAX];
};

enum goal_answer {
	GOAL_ADMIT,
	GOAL_LOAD,   /* too much is before it */
	GOAL_SLOW,   /* all workers are busy, and none is fast enough by itself */
	GOAL_NOBODY, /* no worker is ready, or will be in time */
};

struct goal_forecast {
	enum goal_answer answer;
	uint64_t expected_ns;   /* until its answer begins; 0: nothing is known yet */
	uint64_t margin_ns;     /* that the expectation may be wrong by */
	uint64_t alone_ns;      /* what it takes a worker by itself */
	unsigned retry_after_s; /* 1 .. GOAL_RETRY_MAX_S */
};

/* The largest batch, at most `batch_size`. */
unsigned goal_batch_size(const struct goal_state *s);
/* The longest that a request should wait for others of its batch. */
uint64_t goal_delay_ns(const struct goal_state *s, uint64_t max_delay_ns);
/* One more batch can run at the same time, in so long. */
void goal_add_place(struct goal_state *s, uint64_t left_ns);
/* How long a batch of `n` still runs that has run for `ran_ns`. */
uint64_t goal_left_ns(const struct goal_state *s, unsigned n, uint64_t ran_ns);
struct goal_forecast goal_forecast(const struct goal_state *s);
/* How long a request that comes now waits for a worker, as far as is known, whether there is a goal
 * or not; 0 where none would take it, for then it does not wait. */
uint64_t goal_wait_ns(const struct goal_state *s);

/* An answer has begun, `took_ns` after its request was received, which was expected to be
 * `expected_ns`; its batch had so many requests. */
void goal_learn_error(struct goal_learnt *g, uint64_t took_ns, uint64_t expected_ns,
		      unsigned batched);
/* A request is done: time on its worker, and when its answer began. */
void goal_learn_hold(struct goal_learnt *g, uint64_t hold_ns, uint64_t began_ns);
