/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The bounded queue of one model version. Requests wait here until a worker has credit; nobody
 * pushes work at a busy worker. FIFO, except that requests which come back from a dead or stopped
 * worker go to the head in their old order (and may exceed the bound: they had been accepted). Loop
 * thread only.
 */

#include "core/request.h"

struct queue {
	struct list requests;
	unsigned n, max;
	uint64_t expires_ns; /* no deadline of these passes before; not always the first one's */
};

enum { QUEUE_FULL = 1 };

void queue_init(struct queue *q, unsigned max);
/* 0: the queue has `r` now. QUEUE_FULL: it stays yours. */
int queue_push(struct queue *q, struct request *r);
/* Puts a request back at the head. To keep the order of several, call from the last to the first.
 */
void queue_return(struct queue *q, struct request *r);
void queue_remove(struct queue *q, struct request *r);
struct request *queue_first(const struct queue *q);
/* Removes and returns the next request whose deadline has passed; NULL when there is none. Costs
 * nothing as long as no deadline can have passed. Who cancels a request removes it. */
struct request *queue_expire(struct queue *q, uint64_t now_ns);
