/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * How the process of a worker comes to be: one table per way (a fresh interpreter, a fork of a
 * zygote, several ranks). The worker asks the first way that suits it to start, and is told what
 * came of it; it knows no more of a process than its pid. Which ways there are, and in which order
 * they are asked, says worker_shared.makers, so a test can put its own there. Loop thread only.
 *
 *     start ─► go_on … ─► worker_started(pid) ─► … ─► worker_ended(status)
 *       └────────┴────► worker_end_soon(): there will be no process
 *
 * After a start that returned 0 the worker's end is reported exactly once, also after kill().
 */

#include "fleet/worker.h"

enum {
	MAKER_OFF = 1, /* this way does not work now: ask the next one */
	MAKER_MORE,    /* there is more to make: ask go_on(), perhaps in a later turn of the loop */
};

struct worker_maker {
	const char *name;
	/* Is this the way for this worker? NULL: for every one. */
	bool (*suits)(const struct worker *w);
	/* Makes the process. Descriptors for it: `ends[0]` -1, [1] stdout, [2] stderr, [3] its end
	 * of the channel; they stay the caller's. 0, MAKER_OFF, MAKER_MORE, or -errno (never
	 * reported again). It makes one process at most: a fork takes a millisecond or many. */
	int (*start)(struct worker *w, const int ends[4]);
	/* One more: 0, MAKER_MORE or -errno. NULL: there are never any. */
	int (*go_on)(struct worker *w);
	/* Ends it hard, also while it is still being made. Never reports from inside the call. */
	void (*kill)(struct worker *w);
	/* The process is gone: ends and forgets what was made beside it. NULL: nothing. */
	void (*clear)(struct worker *w);
	/* Threads the process should use at its start, 0: it knows by itself. NULL: its share of
	 * the CPUs, of which it is told again when that changes. */
	unsigned (*threads)(const struct worker *w);
	/* Environment beyond what every worker has, as whole "NAME=value" lines to keep. NULL:
	 * nothing. */
	void (*environment)(const struct worker *w, unsigned rank,
			    void (*set)(void *arg, char *line), void *arg);
};

extern const struct worker_maker maker_native; /* maker_native.c: sconce-worker, no Python */
extern const struct worker_maker maker_ranks;  /* ranks.c */
extern const struct worker_maker maker_pinned; /* maker_python.c: on CPUs of its own */
extern const struct worker_maker maker_zygote; /* zygote.c */
extern const struct worker_maker maker_python; /* maker_python.c: a fresh interpreter */
/* Those of a server, in order; ends with NULL. */
extern const struct worker_maker *const makers_all[];

/* ---- maker_python.c: for makers of several interpreters ---- */

/* A fresh interpreter for a worker, or for one of its ranks; rank -1: it has none. `ends` as in
 * start(). `arguments`: what comes between `python -m` and the worker's own, NULL-terminated. */
int python_spawn(struct worker *w, struct child *c, const char *const *arguments, int rank,
		 const int ends[4], void (*exited)(struct child *c, int status));

/* ---- worker.c: what a maker tells ---- */

/* The process exists. */
void worker_started(struct worker *w, pid_t pid);
/* It has ended (how NULL: as child_describe() says). From the loop only: the worker may be gone
 * afterwards. */
void worker_ended(struct worker *w, int status, const char *how);
/* There is, and will be, no process; reported from the loop. `how` is a constant text. */
void worker_end_soon(struct worker *w, const char *how);
/* What made it must start over: it ended before the process was made. */
void worker_launch_again(struct worker *w);
