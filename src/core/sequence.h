/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Sequences: requests that share an id and build on a state that one worker holds. Each is a lane
 * of the queue: first in, first out, at most one request at a time with the handler, and from its
 * first request on always at the same place (a worker, opaque here).
 *
 *     push ─► waiting ─take─► running ─answered─► (the next may go)
 *
 * A lane is freed when its end was asked for, when nothing happened in it for idle_ns, or
 * timeout_ns after it was opened; never while a request of it waits or runs. One that was freed for
 * its time is remembered (the last SEQUENCES_REMEMBERED of them): its handler may still have the
 * state, which nobody shall reach, so it refuses requests until one starts it anew. When its place
 * goes away, its state is lost: the same, so that nobody is given an answer that was made without
 * the state, until idle_ns is over. Where its lane is needed for another one before that, it is
 * remembered, too. Nothing here calls anybody back while it walks. Pure: time is
 * an argument.
 */

#include "base/map.h"
#include "core/batch.h"

struct sequence_policy {
	unsigned max_sequences, max_waiting; /* max_waiting: per sequence */
	uint64_t idle_ns, timeout_ns;        /* timeout_ns 0: none */
	bool overlap; /* the next may go at the first answer, not the final one */
};

struct sequence {
	struct list ready;    /* in sequences.ready: something waits and may go */
	struct list requests; /* waiting */
	struct list losing;   /* in sequences.losing, while it is lost */
	void *place;          /* NULL: none yet */
	unsigned n, running;
	unsigned losses; /* how often it was lost */
	uint64_t opened_ns, used_ns;
	const struct request *last; /* that was taken, while `busy` */
	bool busy;                  /* it runs, the next may not go yet */
	bool touched;               /* its place holds state of it */
	bool ending;                /* freed with its last request */
	bool lost;                  /* the state is gone */
	size_t id_len;
	char id[];
};

#define SEQUENCES_REMEMBERED 16384

struct sequences {
	struct sequence_policy policy;
	struct map all;       /* id → struct sequence */
	struct map expired;   /* hashes of ids, oldest first */
	uint64_t deadline_ns; /* no waiting request's passes before */
	struct list ready;
	struct list losing;   /* struct sequence: those that are lost, in that order */
	struct list stranded; /* requests without a lane: to be answered with an error */
	struct list overdue;  /* … and those that have waited too long, on their way out */
	unsigned n_waiting;
	uint64_t sweep_ns; /* nothing expires before */
	/* May be NULL. A sequence is freed that has had state at a place which still exists. */
	void (*freed)(void *arg, const struct sequence *q);
	void *arg;
};

void sequences_init(struct sequences *s, const struct sequence_policy *policy);
void sequences_finish(struct sequences *s); /* nothing waits or runs */

enum {
	SEQUENCE_TOO_MANY = 1, /* policy.max_sequences are open */
	SEQUENCE_FULL,         /* policy.max_waiting requests wait in it */
	SEQUENCE_CLOSED,       /* it has ended and still runs, or has expired */
	SEQUENCE_LOST,         /* its worker is gone, and its state with it */
};

/* Queues `r`, whose sequence.id is set; opens the sequence if need be. 0: it is the lane's.
 * Otherwise it stays yours. */
int sequences_push(struct sequences *s, struct request *r, uint64_t now_ns);
/* Takes a waiting request out. What it was to start anew is lost again, and what waited behind it
 * is stranded, as far as the next start. */
void sequences_remove(struct sequences *s, struct request *r, uint64_t now_ns);
/* Takes out and returns the next waiting request that is past its deadline; NULL when there is
 * none. As queue_expire(). Until it returns NULL others that are overdue are `failing`: such a one
 * is taken off its list by who cancels it. */
struct request *sequences_overdue(struct sequences *s, uint64_t now_ns);

/* The next ready sequence without a place behind `after` (NULL: the first one); NULL when there is
 * none. */
struct sequence *sequences_unplaced(const struct sequences *s, const struct sequence *after);

/* As batch_take(), from the sequences at `place`: at most one request of each. */
unsigned sequences_take(struct sequences *s, const struct batch_policy *p,
			const struct batch_cost *cost, const void *place, uint64_t now_ns,
			struct batch *out, uint64_t *ret_wake_ns);
/* May a taken request that was not begun wait for another place? Not when the state is gone, nor
 * when the sequence was started anew since: it would run before what starts that. */
static inline bool sequence_may_return(const struct request *r)
{
	const struct sequence *q = r->sequence;

	return !q->touched && !q->lost && q->losses == r->sequence_losses;
}
/* A taken request did not get as far as being begun: back to the head of its lane. */
void sequences_return(struct sequences *s, struct request *r);
/* A taken request was answered, or will never be. After the final answer it has no lane. */
void sequences_answered(struct sequences *s, struct request *r, uint64_t now_ns, bool final);
/* The handler at `place` says that a sequence is over. Nothing happens if there is none of that id,
 * or if it goes on at another place. */
void sequences_end(struct sequences *s, struct slice id, const void *place, uint64_t now_ns);

/* `place` goes away. Sequences that have no state there, and run nothing there that may make some,
 * wait for another place; the others are lost, and every waiting request of them is moved to
 * `failed`, without a lane. */
void sequences_leave(struct sequences *s, const void *place, uint64_t now_ns, struct list *failed);
/* Frees what has expired. */
void sequences_sweep(struct sequences *s, uint64_t now_ns);
/* Takes out and returns any waiting request; NULL when none waits. */
struct request *sequences_any(struct sequences *s, uint64_t now_ns);
