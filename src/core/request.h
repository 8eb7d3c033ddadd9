/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A request: what every dialect's call becomes, and what a model's queue, a batch and a worker
 * carry. Pure data: core/ neither reads clocks nor does I/O. Made and owned by the API layer;
 * between queue_push() and the final reply it belongs to the queue or the worker it is on. Loop
 * thread only.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/slice.h"
#include "base/span.h"
#include "base/uuid.h"

enum request_op { REQUEST_PREDICT, REQUEST_EXPLAIN, REQUEST_DESCRIBE };

enum part_kind { PART_BODY, PART_FIELD, PART_FILE, PART_TENSOR }; /* as FRAME_PART_* */

struct part {
	struct slice name, type; /* type: media type without parameters, or empty */
	struct span span;        /* its bytes, in shared memory */
	enum part_kind kind;
	uint8_t dtype, ndim;
	const int64_t *shape;
};

struct request;
struct sequence;
struct trace;

/* A piece of the answer, valid during the call only. */
struct reply {
	int status;
	bool final;
	bool error;           /* body is a message; the dialect wraps it */
	struct slice type;    /* content type, may be empty */
	struct slice phrase;  /* reason phrase, may be empty */
	struct slice headers; /* header block, see frame_header_next() */
	struct slice body;
	/* When set, the body stays valid until release(arg), which whoever keeps it must call once.
	 */
	void (*release)(void *arg);
	void *arg;
};

struct request {
	struct list link;        /* in a queue lane or a worker's flight */
	uint64_t id;             /* unique per server life, never 0 */
	char uuid[UUID_LEN + 1]; /* what clients and logs see */
	bool own_ident;          /* … of the client's own making, which may come again */
	enum request_op op;
	struct part *parts;
	unsigned n_parts;
	struct slice headers; /* header block for the handler */
	uint64_t queued_ns;   /* first time in the queue */
	uint64_t sent_ns;     /* to a worker, the last time; 0: never */
	unsigned batched;     /* how many requests its batch had then */
	uint64_t handled_ns;  /* of that: what the handler took; 0: its worker has not said */
	uint64_t deadline_ns; /* 0: none */
	uint64_t goal_ns;     /* when its answer should have begun; 0: that does not matter */
	uint64_t expected_ns; /* what that was thought to take; 0: nothing was known */
	uint64_t begun_ns;    /* when its answer began; 0: it has not */
	uint64_t batch;       /* sequence number of the batch it runs in */
	struct span grant;    /* reply memory it holds on its worker */
	size_t encoded;       /* bytes that it takes in a frame to its worker */
	unsigned unbegun;     /* deaths of workers that had it first, and had not begun it */
	bool retried;         /* was begun on a worker that died: runs in a batch of its own … */
	unsigned beside;      /* … and so many such batches run at once, see dispatch_beside() */
	bool answered;        /* some bytes of the answer went out: never retried */
	bool cancelled;       /* nobody waits for it */
	bool failing;         /* taken out of where it waited, about to be answered with an error */
	bool spoiled;         /* its worker said what HTTP cannot say: it will fail */
	uint64_t streamed;    /* bytes of the pieces that its worker has sent before the last … */
	uint64_t taken;       /* … how many of them have gone to the client, or nowhere … */
	uint64_t opened;      /* … and how many of those the worker knows of */
	uint64_t moved;       /* what was delivered when its client was last found quick enough */
	bool versioned;       /* the client named a version (metrics tell them apart) */
	bool timed;           /* the client asks where the time went */
	struct trace *trace;  /* that it belongs to, see trace.h; NULL: none is known */

	struct slice sequence_id; /* of a model with sequences; empty: in none */
	bool sequence_start, sequence_end;
	struct sequence *sequence; /* its lane, while it waits or runs */
	unsigned sequence_losses;  /* that the lane had had when it was queued */
	bool sequence_anew;        /* it starts what was lost, and is the first in its lane */

	/* Called for every reply; after the final one (or an error) the request is the owner's
	 * again. */
	void (*reply)(struct request *r, const struct reply *reply);
	/* How many bytes of the answer the client's socket has taken, of pieces that have gone in
	 * part, too. NULL: `taken` says it. */
	uint64_t (*delivered)(const struct request *r);
	void *owner;
	void *place; /* fleet's: the worker it runs on; NULL while it waits */
};
