/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The worker protocol (docs/protocol.md) seen from a worker whose instances are threads. They take
 * turns in receiving: one that has nothing to run receives for all, so a worker with one instance
 * runs what it receives without handing it to another thread. What they share is behind one lock;
 * a frame that is sent is one packet, and needs none.
 */

#include <pthread.h>
#include <stdbool.h>

#include "base/list.h"
#include "base/region.h"
#include "pipeline/pipeline.h"
#include "wire/frame.h"
#include "worker/body.h"
#include "worker/memory.h"
#include "worker/model.h"
#include "worker/pillow.h"

/* A RUN frame: dies with the last of its jobs. */
struct session_run {
	struct region region;
	unsigned refs;
};

struct session_request {
	struct list link; /* in session.live */
	struct frame_request entry;
	struct body_part *parts;
	struct span grant;
	unsigned instance; /* that runs it now, while `running` */
	bool running;
	bool cancelled;      /* nobody waits for it any more */
	bool asked;          /* NEED was sent, and not answered yet */
	bool over;           /* it has had its reply */
	bool answered;       /* and that was an answer */
	struct piped *piped; /* its way through the pipeline; NULL: there is none (now) */
};

/* One batch. */
struct session_job {
	struct list link;
	struct session_run *run;
	uint64_t seq;
	struct session_request *requests;
	unsigned n;
};

struct session {
	int fd;
	pthread_mutex_t lock;
	pthread_cond_t turn;      /* a thread may receive, or find what it waits for */
	pthread_cond_t supervise; /* the first thread has something to do */
	bool receiving, stopping;
	bool watched; /* the first thread sees to it that somebody receives */
	struct list jobs, live;
	unsigned n_jobs;
	unsigned n_special; /* threads that wait for `turn`, and for more than a batch */
	unsigned quiet;     /* how often the first thread has found none that has begun a run */
	/* Of each instance: does it run, and for how many requests that somebody waits for? */
	bool running[MODEL_INSTANCES_MAX];
	unsigned awaited[MODEL_INSTANCES_MAX];
	pthread_t started[MODEL_INSTANCES_MAX];
	unsigned n_started; /* and not joined */
	struct memory memory;
	struct model model;
	struct pipeline *pipeline; /* before and behind the model; NULL: there is none */
	struct image_gpu *gpu;     /* that does its steps on pictures; NULL: the processor does */
	struct pillow pillow;      /* where there is one */
	bool decode;               /* parts that are JSON or text, for it */
	bool limit_pixels;         /* of pictures */
	char model_name[256];
	uint64_t max_response_size;
	unsigned threads;       /* that all instances together should use */
	unsigned wanted;        /* instances */
	unsigned alive;         /* threads that serve */
	bool tuned;             /* one of the two has changed */
	char packet[FRAME_MAX]; /* whoever receives */
};

/* The whole life of a worker; returns its exit code. Takes the descriptor over. */
int session_main(int fd);

/* ---- for the first thread: supervise.c ---- */

#define SESSION_FDS_MAX 4

struct received {
	struct frame frame; /* until the next one is received */
	int fds[SESSION_FDS_MAX];
	size_t n_fds;
};

/* Receives one frame for all, and does what it says; descriptors are left only of LOAD, which is
 * the caller's. Called and returns with the lock. False, with MSG_DONTWAIT: there was none. */
bool session_take(struct session *s, struct received *got, int flags);
/* The front is the reason to run, and is believed to speak the protocol: ends the process. NULL: it
 * has gone. */
_Noreturn void session_broken(const char *why);

/* ---- for the threads of instances: serve.c ---- */

/* The next batch, which it waits for; NULL: the thread of this instance is to end. */
struct session_job *session_next(struct session *s, unsigned instance);
/* NULL: there is none now. */
struct session_job *session_next_now(struct session *s);
void session_done(struct session *s, struct session_job *j);
/* Asks for `length` bytes for the request's reply, and waits. False: there are none, or nobody
 * waits for the reply. */
bool session_need(struct session *s, struct session_request *r, uint64_t length);
bool session_cancelled(struct session *s, const struct session_request *r);
/* This instance begins a run of those of n requests that `in` says (NULL: all). When nobody waits
 * for them any more, the engine is told. False: already nobody does. */
bool session_begin_run(struct session *s, unsigned instance, struct session_request *r,
		       const bool *in, unsigned n);
/* The run that has begun is over. */
void session_end_run(struct session *s, unsigned instance, struct session_request *r, unsigned n);
/* Sends a packet; what cannot be sent ends the process, for the front is gone. */
void session_send(struct session *s, struct slice packet);
/* Serves with this instance until session_next() says that it is to end. */
void serve(struct session *s, unsigned instance);
