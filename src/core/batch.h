/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Which requests run together, and when. Pure: no lock, clock or I/O; time is an argument.
 *
 * `batch_size` and `max_delay_ns` are upper bounds. In adaptive mode a worker that is free waits
 * for a fuller batch only while that pays: from the learned cost of a batch, time(n) = a + c·n, and
 * the arrival rate λ, waiting for one more request gains a − 1/λ for that request and costs 1/λ + c
 * for each of the n that wait, so it waits while a − 1/λ > n·(1/λ + c). In fixed mode it waits
 * max_delay as TorchServe does. The delay counts from the moment the oldest request was queued.
 *
 * Where more wait than a worker should take at once, adaptive mode leaves some: batches that are no
 * faster than their requests one by one only make the first of them wait for the last.
 */

#include "core/queue.h"

enum batch_mode { BATCH_ADAPTIVE, BATCH_FIXED };

struct batch_policy {
	enum batch_mode mode;
	unsigned batch_size; /* >= 1 */
	uint64_t max_delay_ns;
	size_t bytes_max; /* of all `encoded` in a batch; 0: no limit */
	unsigned workers; /* that share the queue; 0: batches run side by side, take what waits */
	unsigned idle;    /* of these, with the one that asks */
};

/* What is known about a model version's speed: exponentially forgetting sums. All times in ns. */
struct batch_cost {
	double weight, sum_n, sum_t, sum_nn, sum_nt;
	double gap_ns;      /* mean time between arrivals, 0: unknown */
	double long_gap_ns; /* over so many that bursts are level */
	uint64_t last_arrival_ns;
	double slow_ns; /* the slowest lately, which fades */
};

void batch_cost_arrival(struct batch_cost *c, uint64_t now_ns);
void batch_cost_learn(struct batch_cost *c, unsigned n, uint64_t took_ns);
/* All that was in a frame together took so long. */
void batch_cost_frame(struct batch_cost *c, uint64_t took_ns);
/* The estimate; false while too little is known. c_ns >= 0, a_ns >= 0. */
bool batch_cost_get(const struct batch_cost *c, double *a_ns, double *c_ns);
/* The same, false where batches of one size only are known. */
bool batch_cost_line(const struct batch_cost *c, double *a_ns, double *c_ns);
/* Expected time of a batch of n; 0 while unknown. */
uint64_t batch_cost_estimate(const struct batch_cost *c, unsigned n);

struct batch {
	struct list requests; /* in order */
	unsigned n;
	size_t bytes; /* sum of `encoded` */
};

/* Takes the next batch for a free worker from the front of the queue. Returns how many requests it
 * took; if 0 (nothing queued, or waiting pays), nothing changes before *ret_wake_ns (UINT64_MAX:
 * until a request arrives). A retried request and a DESCRIBE travel alone; a batch never mixes
 * operations. A first request of more than bytes_max is not taken at all: what is larger than a
 * whole frame never comes here, and a frame that holds something already is sent first. Expired
 * requests are never taken: the caller removes them first with queue_expire(). */
unsigned batch_take(const struct batch_policy *p, const struct batch_cost *cost, struct queue *q,
		    uint64_t now_ns, struct batch *out, uint64_t *ret_wake_ns);
