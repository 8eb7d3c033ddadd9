/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The live things: models and their versions, the workers that run them, and what they share. One
 * fleet per server, passed down; loop thread only.
 */

#include <uv.h>

#include "config/model_list.h"
#include "config/settings.h"
#include "core/metrics.h"
#include "child/child.h"
#include "child/job.h"
#include "telemetry/gpus.h"
#include "telemetry/host_metrics.h"
#include "fleet/preparation.h"
#include "fleet/python.h"
#include "fleet/removal.h"
#include "fleet/store.h"
#include "fleet/worker.h"
#include "telemetry/telemetry.h"
#include "fleet/workdir.h"
#include "loop/work.h"
#include "pool/pool.h"

struct fleet {
	uv_loop_t *loop;
	const struct settings *settings;
	struct budget *budget;
	struct pool *pool;
	struct metrics *metrics;
	struct telemetry telemetry;
	struct tracer *tracer; /* NULL: nothing is traced */
	struct host_metrics host;
	struct children children;
	struct gpus gpus;
	struct python python;
	struct worker_shared workers; /* what every worker is given */
	struct store store;
	struct list retired; /* versions out of the store that still drain */
	struct list leaving; /* struct farewell: versions that are gone but for their files */
	struct removals removals, sweeps; /* of our own files; of what others have left */
	struct lane closings;             /* of shared memory */
	struct lane lookups;              /* of archives, in file systems that may hang */
	struct list dirty;                /* versions with work to hand out, see version_touch() */
	uv_check_t dispatch;              /* runs once all sockets of a turn have been read … */
	uv_idle_t again; /* … and keeps the loop turning when a timer found work */
	uv_timer_t tick; /* timeouts and deadlines */
	uint64_t tick_n;
	char *executable;        /* our own, for `sconce unpack` */
	struct workdir workdir;  /* where archives are unpacked */
	unsigned cpus;           /* that we may use: affinity and cgroup quota */
	unsigned next_worker;    /* worker ids, from initial_worker_port */
	struct jobs jobs;        /* short-lived children */
	struct preparations preparations;
	struct list registering; /* struct registering, see register.c */
	unsigned n_registering;
	uint64_t next_request_id, next_registration;
	struct model_list models;   /* the setting `models` */
	void (*changed)(void *arg); /* see fleet_changed(); NULL: nobody asks */
	void *changed_arg;
	/* See fleet_recorded(); NULL: nothing is recorded. */
	void (*recorded)(void *changed_arg, void (*done)(void *arg), void *arg);
	unsigned recordings; /* waited for */
	bool draining;       /* what runs is finished, nothing else is begun */
	bool stopping;
	void (*stopped)(void *arg);
	void *stopped_arg;
};

/* `settings`, `budget`, `pool`, `metrics` and `catalogue` must outlive the fleet. 0, or -errno,
 * where a user can do something about it with a sentence in `why`. */
int fleet_init(struct fleet *f, uv_loop_t *loop, const struct settings *settings,
	       struct budget *budget, struct pool *pool, struct metrics *metrics,
	       const struct catalogue *catalogue, struct buf *why);
/* The server is going to stop once what runs has its answers. Who waits for anything else (a
 * registration, workers, the end of a version) is told now; of registrations only those of the
 * start go on, and what is begun from now on is refused. */
void fleet_drain(struct fleet *f);
#define FLEET_TIDY_MS 5000 /* that removing unpacked archives may take at the end */

/* Before anything runs; `t` outlives the fleet. */
void fleet_trace(struct fleet *f, struct tracer *t);
/* Ends every worker: asks, then kills after `grace_ms`; calls done when the last is gone. What
 * cannot be removed in FLEET_TIDY_MS more is left to the next start. */
void fleet_stop(struct fleet *f, uint64_t grace_ms, void (*done)(void *arg), void *arg);
/* After fleet_stop() has reported. Unpacked archives are removed while the loop runs on, which it
 * must until nothing is left to do; `f` stays until then. */
void fleet_finish(struct fleet *f);

/* Something that fleet_stop() waits for is over. */
void fleet_maybe_stopped(struct fleet *f);

/* What a snapshot records (versions, their workers, the default version) is not as it was. */
void fleet_changed(struct fleet *f);
/* Calls done when all that fleet_changed() has told of so far is on disk, or cannot be brought
 * there; at once where nothing is recorded. */
void fleet_recorded(struct fleet *f, void (*done)(void *arg), void *arg);

/* The folder of our Python packages (sconce, ts), or NULL: it was not found. free() it. */
char *fleet_packages(void);
/* CPUs this process may use: affinity mask and cgroup quota, at least 1. */
unsigned fleet_count_cpus(void);
/* Reads off what is published of the present. */
void fleet_measure(struct fleet *f);
/* Tells all workers after their number has changed. */
void fleet_retune(struct fleet *f);
