/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One version of a model: its queue, its workers and how requests get from one to the other.
 *
 *     LOADING → READY → DRAINING → STOPPED
 *
 * A request is bound to a version when it is submitted; `pending` counts it until its final
 * reply, so a version that is taken away stops only when nobody waits for it any more.
 * Loop thread only.
 */

#include <uv.h>

#include "archive/archive.h"
#include "core/batch.h"
#include "core/devices.h"
#include "core/dispatch.h"
#include "core/goal.h"
#include "core/queue.h"
#include "core/sequence.h"
#include "core/sizes.h"
#include "fleet/native.h"
#include "telemetry/telemetry.h"

struct fleet;
struct model;
struct worker;

#define VERSION_FAILURE_MAX ((size_t)1024)
#define VERSION_WORKERS_MAX 4096

enum version_state { VERSION_LOADING, VERSION_READY, VERSION_DRAINING, VERSION_STOPPED };

struct version {
	struct list link;  /* in its model */
	struct list dirty; /* in the fleet, while there may be work to hand out */
	struct fleet *fleet;
	struct model *model;     /* NULL once removed from the store */
	char *model_name, *name; /* name: the version, "1.0" */
	char *url;               /* as registered */
	char *dir;               /* the unpacked archive */
	bool own_dir;            /* remove it at the end */
	bool loaded_at_startup;
	enum version_state state;

	struct region region; /* holds the manifest's texts */
	struct manifest manifest;
	char *handler, *runtime;
	unsigned min_workers, max_workers;
	bool native;       /* an engine runs it: one worker, whose instances count as workers */
	bool native_tried; /* as far as it loads; else its handler does */
	enum pipeline_source pipeline;
	char *path_reason;       /* why its handler serves it, where an engine might; NULL */
	unsigned instances;      /* native: that this one should have … */
	unsigned instances_made; /* … and had when it was asked last; 0: it has not loaded yet */
	unsigned batch_size;
	uint64_t max_batch_delay_ms, latency_goal_ms; /* goal: 0: there is none */
	uint64_t response_timeout_s, startup_timeout_s, max_retry_timeout_s, client_timeout_ms;
	struct devices devices; /* that its workers use */
	uint64_t order;         /* among all registrations of this server */
	char *python;           /* of an environment of its own; NULL: the server's */
	char *downloaded;       /* the archive in the model store, when we put it there */
	bool wants_torch;       /* its handler imports torch: start it from a zygote that has */

	struct queue queue;         /* of requests that any worker may run */
	struct sequences sequences; /* of those that belong to a worker */
	struct batch_policy policy;
	struct batch_cost cost;
	struct goal_learnt goal;
	uint64_t load_ns; /* that the last worker took to load; 0: none has */
	struct dispatch_policy dispatch;
	struct sizes sizes;
	struct list workers; /* struct worker */
	struct {
		uint64_t said_ns; /* when the log was told last; 0: never */
		unsigned unsaid;  /* since then */
	} refusals;               /* of requests */
	char *failure; /* why its workers do not load, one sentence; NULL: the last one did */
	char *optimized_lost; /* what ended one that loaded the optimized model; NULL: nothing */
	bool scaled;          /* who waits for workers is to be told, if there are enough */
	uint64_t pending;
	uv_timer_t *wake; /* for a batch that is being waited for */
	struct version_metrics metrics;
	struct list waiters; /* struct version_wait */
	void (*drained)(void *arg, bool in_time);
	void *drained_arg;
	uint64_t drain_deadline_ns;
};

/* What came of starting workers. */
struct version_outcome {
	enum { VERSION_SCALED, VERSION_WORKER_FAILED, VERSION_UNREGISTERED } result;
	int code;            /* of the failed worker: 500, 507; 503: the server is stopping */
	const char *message; /* the reason; valid during the call */
	unsigned workers;    /* scaled to: may be fewer than were asked for */
};

typedef void version_done(void *arg, const struct version_outcome *o);

extern const struct version_outcome version_stopping; /* the server does */

/* Takes nothing: copies what it needs. The manifest's texts must live in `region`, which the
 * version takes over. */
struct version *version_create(struct fleet *f, struct region *region, const struct manifest *m);
/* All workers gone, nothing pending, out of the store. */
struct version *version_destroy(struct version *v);

/* Sets the wanted number of workers, starts or ends some, and calls done (may be NULL) once: when
 * all wanted ones are ready, the first one has failed to load, or the version is retired. */
void version_scale(struct version *v, unsigned min, unsigned max, version_done *done, void *arg);
/* Who waits with this `arg` is not to be told any more. */
void version_stop_telling(struct version *v, const void *arg);

enum {
	VERSION_NO_WORKER = 1,
	VERSION_QUEUE_FULL,
	VERSION_SEQUENCE_REFUSED,
	VERSION_NO_TICKET, /* useJobTicket: no worker is free */
	VERSION_TOO_LARGE, /* its headers and the names of its fields fit no frame */
	VERSION_TOO_LATE,  /* latency_goal_ms: version_forecast() tells why */
};
/* 0: `r` belongs to the version until its final reply. Otherwise it stays yours. */
int version_submit(struct version *v, struct request *r);
/* Nobody waits for the answer any more. True: it had not begun and is yours again, without a reply;
 * false: its final reply still comes. */
bool version_cancel(struct version *v, struct request *r);

/* `bytes` of the pieces of a streamed answer (replies that were not final) have been sent to the
 * client, or dropped: its worker may send as many more. To be called for all of them, in any
 * portions; harmless after the final reply. Without it a stream stands still after
 * FRAME_WINDOW_BYTES. */
void version_stream_taken(struct version *v, struct request *r, size_t bytes);

/* Takes the version out of the store at once: no new requests reach it. Calls done when what it had
 * accepted is answered, its workers are gone and its files are removed; in_time is false when that
 * took beyond the deadline, at which stragglers are killed, or is not waited for any more. */
void version_retire(struct version *v, uint64_t timeout_ms, void (*done)(void *arg, bool in_time),
		    void *arg);
/* Those that are being taken away already: no later than that, whatever they were given. */
void versions_end_by(struct fleet *f, uint64_t deadline_ns);
/* Tells all who wait for that that it is not done in time. */
void versions_stop_waiting(struct fleet *f);

unsigned version_ready_workers(const struct version *v);
/* How many of these have nothing to do. */
unsigned version_idle_workers(const struct version *v);
/* Why nothing answers: the cause where its workers do not load, or NULL. */
const char *version_trouble(const struct version *v);
/* False when fewer workers are healthy (not given up on) than the version should have. */
bool version_healthy(const struct version *v);
/* Processes that so many workers are. */
unsigned version_processes(const struct version *v, unsigned workers);

/* ---- for workers ---- */

/* A request has had its final reply (or went back to its owner). */
void version_release(struct version *v);

/* It is the owner's again, with this error for an answer. */
void version_fail(struct version *v, struct request *r, int status, const char *message);

/* There may be something to hand out: looked at once at the end of this turn of the loop. */
void version_touch(struct version *v);
void version_dispatch(struct version *v, uint64_t now_ns);
void version_tick(struct version *v, uint64_t now_ns);
/* Those of its workers that are to stay. */
unsigned version_places(const struct version *v);

/* Its workers that are to stay. */
unsigned version_places(const struct version *v);
/* Nobody will ever serve what still waits here. */
void version_refuse_queued(struct version *v);
/* ---- version_end.c ---- */
/* One that is being taken away: goes on, if it can. */
void version_maybe_stopped(struct version *v);

/* ---- version_workers.c: what its workers are told, and tell ---- */

/* A handler looks at the first request of a batch for what all of it is to be; what a client has
 * written in the headers of its own must not decide for others. */
void version_read_operation(struct request *r);
/* Makes so many more and starts them. */
void version_add_workers(struct version *v, unsigned n);
/* How many batches the next frame for `w` may carry. */
unsigned version_frame_batches(struct version *v, const struct worker *w);
/* Tells those who wait for workers, all of them, or if there are enough. */
void version_settle(struct version *v, const struct version_outcome *o);
void version_check_scaled(struct version *v);

/* ---- version_goal.c: latency_goal_ms ---- */

/* What a request would meet that came now. */
struct goal_forecast version_forecast(const struct version *v, uint64_t now_ns);
/* How long that would wait for a worker. */
uint64_t version_wait_ns(const struct version *v, uint64_t now_ns);
/* Notes when its answer is to begin. True: it would be too late, and is refused. */
bool version_goal_refuses(struct version *v, struct request *r);
/* What the goal leaves of the bounds of a batch. */
void version_goal_bound(const struct version *v, struct batch_policy *p);
/* An answer, or a piece of it: from a worker, or because there is none that could. Of requests
 * without a goal only those matter that ran beside others. */
void version_goal_answered(struct version *v, struct request *r, const struct reply *reply,
			   uint64_t now_ns);

/* ---- version_figures.c ---- */

/* Reads off what is published of the present. */
void version_measure(struct version *v, uint64_t now_ns);

/* ---- version_sequences.c: what waits, in the queue or in a sequence ---- */

void version_sequences_configure(struct version *v);
unsigned version_waiting(const struct version *v);
int version_enqueue(struct version *v, struct request *r, uint64_t now_ns);
void version_dequeue(struct version *v, struct request *r);
/* Back to the head: it was taken, but not begun. */
void version_return(struct version *v, struct request *r);
/* Takes out the next request that has waited too long; NULL: none has. */
struct request *version_overdue(struct version *v, uint64_t now_ns);
struct request *version_any_waiting(struct version *v);
/* Answers those whose sequence was not started anew after all. */
void version_fail_stranded(struct version *v);
/* Gives every sequence that has no worker one, if any is ready. */
void version_place_sequences(struct version *v);
/* The next batch for `w`, of at most `bytes_max`; as batch_take(). */
unsigned version_take(struct version *v, const struct worker *w, size_t bytes_max, uint64_t now_ns,
		      struct batch *out, uint64_t *ret_wake_ns);
/* A request of a sequence got an answer, from a worker or because of its death. */
void version_sequence_answered(struct version *v, struct request *r, const struct reply *reply,
			       uint64_t now_ns);
/* Sequences with state on `w` are lost; what waits in them is answered with this error. */
void version_worker_leaves(struct version *v, const struct worker *w, int status,
			   const char *message);
