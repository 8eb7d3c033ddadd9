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
 * It knows its model as a struct of facts, its owner as a table of functions and its process as
 * what a maker (maker.h) made. Everything a worker sends is checked as if it came from the network;
 * one that breaks the protocol is killed with a log line that says why. Loop thread only.
 */

#include <uv.h>

#include "archive/archive.h"
#include "child/child.h"
#include "child/output.h"
#include "core/batch.h"
#include "core/devices.h"
#include "core/sizes.h"
#include "fleet/channel.h"
#include "fleet/native.h"
#include "pool/outbound.h"
#include "telemetry/telemetry.h"

struct gpus;
struct pool;
struct python;
struct tracer;
struct worker;
struct worker_maker;
struct zygotes;

enum worker_state {
	WORKER_STARTING,
	WORKER_LOADING,
	WORKER_READY,
	WORKER_STOPPING,
	WORKER_WAITING,
	WORKER_FAILED,
};

/* What all workers of a server share. */
struct worker_shared {
	uv_loop_t *loop;
	const struct settings *settings;
	struct budget *budget;
	struct pool *pool;
	struct telemetry *telemetry;
	struct tracer *tracer; /* NULL: nothing is traced */
	struct children *children;
	struct gpus *gpus;
	const struct python *python;
	struct zygotes *zygotes; /* NULL: off */
	const struct worker_maker *const *makers;
	unsigned next_rank_port; /* from initial_distribution_port, see ranks.c */
	struct list launches;    /* of workers whose process is made in a later turn */
	uint64_t launch_ns;      /* that the processes of this turn took */
	struct list memories;    /* struct worker_memory, the oldest first */
};

/* What a worker is told of its model. What is pointed to belongs to the owner and outlives it. */
struct worker_model {
	const char *name, *version, *dir, *handler;
	const char *python;      /* interpreter of its own; NULL: the server's */
	const bool *wants_torch; /* its handler imports torch */
	bool native;             /* an engine runs it, and no handler */
	bool native_tried;       /* and if that does not load, its handler does */
	enum pipeline_source pipeline;
	const struct manifest *manifest;
	const struct devices *devices;
	unsigned batch_size;
	uint64_t response_timeout_s, startup_timeout_s, max_retry_timeout_s;
	struct version_metrics *metrics;
	struct sizes *sizes; /* what its workers learn together */
	struct batch_cost *cost;
	/* What ended a worker that loaded the optimized model, so that the original is loaded now;
	 * NULL, or where it points is NULL: nothing. */
	char *const *optimized_lost;
};

/* What a worker asks and tells whoever owns it. */
struct worker_owner_ops {
	/* Its process became ready (NULL message) or failed to load. */
	void (*loaded)(void *owner, struct worker *w, int code, const char *message);
	/* Its process ended while it loaded the optimized model: the next one is not to. */
	void (*optimized_lost)(void *owner, const char *how);
	/* It was stopped and has no process any more: the owner destroys it. */
	void (*gone)(void *owner, struct worker *w);
	/* Something changed: there may be work to hand out, or an end. */
	void (*touch)(void *owner);
	/* The next batch of at most `bytes_max`, as batch_take(). */
	unsigned (*take)(void *owner, struct worker *w, size_t bytes_max, uint64_t now_ns,
			 struct batch *out, uint64_t *ret_wake_ns);
	/* How many of its like may run beside what waits longest, itself included; 0: anything. */
	unsigned (*next_beside)(void *owner);
	/* A request waits again, at the head of the queue: it was taken, but not begun. */
	void (*give_back)(void *owner, struct request *r);
	/* A request is about to have its final reply. */
	void (*release)(void *owner);
	/* Of a request with a goal, or of one that ran beside others: an answer, a piece of one, or
	 * an error instead. */
	void (*timed)(void *owner, struct request *r, const struct reply *reply, uint64_t now_ns);
	/* A request of a sequence got an answer, or never will. */
	void (*sequence_answered)(void *owner, struct request *r, const struct reply *reply,
				  uint64_t now_ns);
	/* Sequences with state on `w` are lost; what waits in them is answered with this error. */
	void (*leaves)(void *owner, struct worker *w, int status, const char *message);
	/* Its handler imports torch. */
	void (*imports_torch)(void *owner);
	/* May a place whose process has ended have another? `loaded`: that one had become ready. */
	bool (*restarts)(void *owner, const struct worker *w, bool loaded);
	/* Threads that a worker should use, so that all of them together fit the CPUs. */
	unsigned (*threads)(void *owner);
	/* How many workers the owner wants: those that share its CPUs. */
	unsigned (*siblings)(void *owner);
	/* How many instances of the model this one process should have. */
	unsigned (*instances)(void *owner);
};

/* Reply memory: outlives the worker while a client still reads from it. */
struct worker_memory {
	struct list link; /* in `memories` */
	struct pool *pool; /* closes it */
	struct outbound *outbound;
	unsigned refs;
};

/* One batch on its way: the requests of one call of the handler. */
struct flight {
	struct list link; /* in the worker, by sequence number */
	uint64_t seq;
	unsigned n, left; /* requests; not yet answered */
	bool last_of_frame;
	bool late; /* it was not answered within responseTimeout */
	bool told; /* it has said how it spent its time */
	uint64_t sent_ns;
	uint64_t alive_ns; /* last sign of life of it: its start, a piece, a question for memory */
	struct buf ids;    /* of its requests, comma separated; only where metrics are logged */
	struct list requests;
};

struct worker {
	struct list link;   /* its owner's */
	struct list launch; /* in `launches`, while it waits there */
	struct worker_shared *shared;
	const struct worker_owner_ops *ops;
	void *owner;
	struct worker_model model;
	unsigned index;  /* among its owner's: the lowest that was free */
	unsigned id;     /* 9000 … */
	char label[128]; /* "W-9000-noop_1.0" */
	int slot;        /* of its GPUs, in model.devices; DEVICES_NONE */
	enum worker_state state;

	const struct worker_maker *maker; /* of the present process; NULL: there is none */
	const char *doomed;               /* its end is about to be reported: how it ended */
	pid_t pid;                        /* 0: not known yet, or none */
	struct child child;               /* the makers': where it is a process of ours */
	struct ranks *ranks; /* of a worker of several processes: those beside `child` */
	char *master;        /* where its processes find each other */
	unsigned master_port;

	struct channel channel;
	struct output out, err;
	struct worker_memory *memory;
	struct list flights; /* struct flight */
	unsigned n_flights, n_frames;
	uint64_t counted_ns; /* until when its busy time is counted */
	uint64_t next_seq;
	unsigned credits;   /* batches at once: 1, or k for one that runs them side by side */
	bool async;         /* it does: an async handler, or continuous batching */
	unsigned beside;    /* so many may run now; 0: it runs nothing that is suspected */
	uint32_t *segments; /* inbound segments it has been sent */
	unsigned n_segments;
	unsigned threads;         /* it was last told to use, for all its instances */
	unsigned wanted;          /* instances that it was last asked for */
	unsigned n_sequences;     /* placed there, when its owner last counted */
	struct yyjson_doc *facts; /* what it said of itself when it was ready; NULL: not yet */

	uint64_t began_ns, ready_ns; /* this process: started, became ready */
	uint64_t began_wall_ms;      /* for describe */
	uint64_t progress_ns;        /* last sign of life */
	uint64_t trouble_ns;         /* first failure of the present series; 0: none */
	unsigned failures;           /* consecutive */
	unsigned deaths;             /* ever */
	uv_timer_t *timer;           /* restart back-off; limit of start-up, stop, kill */
	bool timed_out;              /* we killed it for not answering */
	bool killed;                 /* we killed it for another reason */
	bool blames;                 /* the last one ended with requests that it had begun */
	bool may_try, trying;        /* the optimized model: it was not told not to; it does */
	bool half_made;              /* its maker goes on in a later turn */
	int load_code;               /* of a failed LOADED; 0: none */
	char *load_message;          /* one sentence */
	char *load_traceback;        /* for the log; "": none */
	char *load_prepare;          /* engine that can build what it lacks; NULL: none */
	bool resting;                /* it could not load, and is not tried again at once */
};

/* Makes the place; worker_start() begins its first process, and every later one by itself. */
struct worker *worker_create(struct worker_shared *s, const struct worker_owner_ops *ops,
			     void *owner, const struct worker_model *m, unsigned id, unsigned index,
			     int slot);
/* What fails here is reported from the loop, like a process that died at once. */
void worker_start(struct worker *w);
/* Of one that waits: in one of the next turns of the loop, where this one has made processes for
 * long already. */
void worker_start_soon(struct worker *w);
/* At the end of each turn: starts those that wait for one. */
void workers_launch(struct worker_shared *s);
struct worker *worker_destroy(struct worker *w); /* no process, no flights */
/* Asks it to finish what it has and exit; kills it after grace_ms. ops->gone() follows, at once
 * when it has no process. */
void worker_stop(struct worker *w, uint64_t grace_ms);

/* Sends a frame of at most `batches` batches, as ops->take() gives them; returns how many requests
 * went out. 0: look again at *ret_wake_ns. */
unsigned worker_run(struct worker *w, unsigned batches, uint64_t now_ns, uint64_t *ret_wake_ns);
/* May an answer come from this place without anybody's help, and soon? */
bool worker_is_prospect(const struct worker *w);
/* May it be given work now? */
bool worker_has_credit(const struct worker *w);
/* Workers that it counts as while it is ready: one that an engine runs, its instances. */
unsigned worker_instances(const struct worker *w);
/* How many batches one that runs them side by side (`async`) could begin now. */
unsigned worker_async_batches(const struct worker *w);
/* Requests that it could begin at once. */
unsigned worker_free_places(const struct worker *w);
/* Bytes that a request takes in a frame; more than FRAME_ROOM: it can never be sent. */
size_t worker_request_size(const struct request *r);
void worker_cancel(struct worker *w, struct request *r);
/* The client has taken more of what was streamed to it: see version_stream_taken(). */
void worker_stream_taken(struct worker *w, struct request *r);
/* A sequence that it ran is over. */
void worker_sequence_over(struct worker *w, struct slice id);
void worker_forget_segment(struct worker *w, uint32_t id);
/* The owner wants another number of instances, or the same, each of which should use so many
 * threads. */
void worker_tune(struct worker *w, unsigned threads_each);
/* Checks the response timeout: of each batch that runs. */
void worker_tick(struct worker *w, uint64_t now_ns);
/* How the last one that could not load failed. */
void worker_forget_load(struct worker *w);
/* Idle memory goes back in one of every so many ticks: of some ten megabytes that takes as many
 * milliseconds, so that no two workers have the same tick as long as there are enough. Returns the
 * bytes. */
uint64_t worker_trim(struct worker *w, uint64_t tick, unsigned ticks, uint64_t bytes_max);
/* What all of them together keep is a share of the budget at most, however many they are: gives
 * back of what is more. Returns the bytes. */
uint64_t workers_shed(struct worker_shared *s, uint64_t bytes_max);
/* Asserts its invariants. */
void worker_check(const struct worker *w);
/* Kills the process with a line that says why; the rest follows from its death, which is not waited
 * for long. */
void worker_kill(struct worker *w, const char *why);
/* Its channel is at an end. Where its process goes on nevertheless it is killed after a while. */
void worker_deaf(struct worker *w);

/* ---- worker_launch.c ---- */
/* A process for this place, by the first maker that suits. */
int worker_launch(struct worker *w);
/* There is no process; its end is reported from the loop. */
void worker_not_launched(struct worker *w, int error);
/* Threads it should use at its start; 0: it knows by itself. */
unsigned worker_threads(const struct worker *w);
/* ---- worker_busy.c ---- */
/* How many workers' worth of batches it has now. */
double worker_busy(const struct worker *w);
/* Counts the time that it was so busy; before each change of that. */
void worker_count_busy(struct worker *w, uint64_t now_ns);
/* ---- worker_load.c ---- */
int worker_send_load(struct worker *w);
/* ---- worker_frames.c: what it sends ---- */
/* A request that it has now; NULL: it has none of this id. */
struct request *worker_find(const struct worker *w, uint64_t id, struct flight **ret);
int worker_received(struct channel *c, const struct frame *f);
void worker_broken(struct channel *c, const char *why);
/* ---- worker_death.c ---- */
/* The process is gone ("exited with code 3"): requeues, retries or fails what it had. */
void worker_fail_flights(struct worker *w, int status, const char *how, uint64_t now_ns);
/* May what it had begun be run again? */
bool worker_may_retry(const struct worker *w);
/* ---- worker_run.c ---- */
/* All of it is answered; it is the caller's. */
void worker_flight_done(struct worker *w, struct flight *fl);
/* Its reply memory, where it still has some, is free again. */
void worker_revoke(struct worker *w, struct request *r);
void flight_free(struct flight *fl);
void worker_reply_error(struct request *r, int status, const char *message);
void worker_memory_unref(struct worker_memory *m);
