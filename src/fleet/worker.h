/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One worker process and its place in a version. The place (and its id, "9000") outlives the
 * process: after a death it starts the next one.
 *
 *     STARTING ─HELLO→ LOADING ─LOADED 200→ READY ─STOP→ STOPPING → (gone)
 *        ▲                │ fails              │ dies
 *        └───── WAITING ◄─┴────────────────────┘        FAILED: given up after maxRetryTimeoutInSec
 *
 * Everything a worker sends is checked as if it came from the network; one that breaks the protocol
 * is killed with a log line that says why. Loop thread only.
 */

#include <uv.h>

#include "fleet/channel.h"
#include "child/child.h"
#include "child/output.h"
#include "fleet/version.h"
#include "pool/outbound.h"

enum worker_state {
	WORKER_STARTING,
	WORKER_LOADING,
	WORKER_READY,
	WORKER_STOPPING,
	WORKER_WAITING,
	WORKER_FAILED,
};

/* Reply memory: outlives the worker while a client still reads from it. */
struct worker_memory {
	struct outbound *outbound;
	unsigned refs;
};

/* One batch on its way: the requests of one call of the handler. */
struct flight {
	struct list link; /* in the worker, by sequence number */
	uint64_t seq;
	unsigned n, left; /* requests; not yet answered */
	bool last_of_frame;
	uint64_t sent_ns;
	struct buf ids; /* of its requests, comma separated; only where metrics are logged */
	struct list requests;
};

struct worker {
	struct list link; /* in its version */
	struct version *version;
	unsigned index;  /* among its version's: the lowest that was free */
	unsigned id;     /* 9000 … */
	char label[128]; /* "W-9000-noop_1.0" */
	int slot;        /* of its GPUs, in version->devices; DEVICES_NONE */
	enum worker_state state;
	struct child child;
	struct rank *ranks; /* of a worker of several processes: those beside `child`, from 1 */
	unsigned n_ranks, master_port;
	char *master; /* where its processes find each other */
	struct channel channel;
	struct output out, err;
	struct worker_memory *memory;
	struct list flights; /* struct flight */
	unsigned n_flights, n_frames;
	uint64_t next_seq;
	unsigned credits;   /* batches at once: 1, or k for one that runs them side by side */
	bool async;         /* it does: an async handler, or continuous batching */
	bool exclusive;     /* what it runs now must be alone */
	uint32_t *segments; /* inbound segments it has been sent */
	unsigned n_segments;
	unsigned threads; /* it was last told to use */

	uint64_t began_ns, ready_ns; /* this process: started, became ready */
	uint64_t began_wall_ms;      /* for describe */
	uint64_t progress_ns;        /* last sign of life while it had work */
	uint64_t trouble_ns;         /* first failure of the present series; 0: none */
	unsigned failures;           /* consecutive */
	unsigned deaths;             /* ever */
	uv_timer_t *timer;           /* restart back-off; start-up limit; grace when stopping */
	bool timed_out;              /* we killed it for not answering */
	bool killed;                 /* we killed it for another reason */
	int load_code;               /* of a failed LOADED; 0: none */
	char *load_message;
};

/* Makes the place and starts its first process. */
struct worker *worker_create(struct version *v);
struct worker *worker_destroy(struct worker *w); /* no process, no flights */
/* Asks it to finish what it has and exit; kills it after grace_ms. It is destroyed when gone. */
void worker_stop(struct worker *w, uint64_t grace_ms);
/* True when the process needs no further attention and the place may go. */
bool worker_idle(const struct worker *w);

/* Sends a frame of batches taken from the queue; returns how many requests went out. 0: look again
 * at *ret_wake_ns. */
unsigned worker_run(struct worker *w, uint64_t now_ns, uint64_t *ret_wake_ns);
/* May it be given work now? */
bool worker_has_credit(const struct worker *w);
/* Requests that it could begin at once. */
unsigned worker_free_places(const struct worker *w);
void worker_cancel(struct worker *w, struct request *r);
/* A sequence that it ran is over. */
void worker_sequence_over(struct worker *w, struct slice id);
void worker_forget_segment(struct worker *w, uint32_t id);
void worker_tune(struct worker *w, unsigned threads);
/* Checks the response timeout. */
void worker_tick(struct worker *w, uint64_t now_ns);
/* Kills the process with a line that says why; the rest follows from its death. */
void worker_kill(struct worker *w, const char *why);

/* ---- worker_launch.c: a process for this place, fresh or from a zygote ---- */
int worker_launch(struct worker *w);
/* A fresh interpreter for it, or for one of its ranks; rank -1: it has none. `fds` as in struct
 * spawn. */
int worker_exec(struct worker *w, struct child *c, int rank, const int fds[4],
		void (*exited)(struct child *c, int status));
void worker_launch_again(struct worker *w); /* the zygote that was to make it is gone */
/* Threads it should use at its start; 0: it knows by itself. */
unsigned worker_threads(const struct worker *w);
/* The process exists (a zygote answered), or could not be made (pid 0). */
void worker_launched(struct worker *w, pid_t pid);
void worker_exited(struct child *c, int status);
/* ---- worker_frames.c: what it sends ---- */
int worker_received(struct channel *c, const struct frame *f);
void worker_broken(struct channel *c, const char *why);
int worker_send_load(struct worker *w);
/* ---- worker_death.c ---- */
/* The process is gone: requeues, retries or fails what it had. */
void worker_fail_flights(struct worker *w, int status, uint64_t now_ns);
/* ---- worker_run.c ---- */
/* All of it is answered; it is the caller's. */
void worker_flight_done(struct worker *w, struct flight *fl);
void flight_free(struct flight *fl);
void worker_reply_error(struct request *r, int status, const char *message);
void worker_memory_unref(struct worker_memory *m);
