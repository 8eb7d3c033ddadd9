/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Work that would block the loop (a file that is synced, a tree that is removed, a name that is
 * looked up), done by a thread of libuv's pool. A struct work is part of what the work is about:
 *
 *     struct removal { struct work work; char *path; };
 *
 *     work_start(loop, &r->work, removal_run, removal_done);
 *
 * `run` is called by a thread of the pool, and touches nothing but what the work owns; `done` is
 * called by the loop when it has returned, always, exactly once and never before work_start() has
 * returned. Until then the work keeps the loop alive, and its memory stays where it is; `done` may
 * free it. There is no cancelling: who loses interest says so in what `done` reads.
 *
 * The pool has four threads for everybody. What can be asked for faster than it is done, what takes
 * long, or what must happen in order goes through a lane: it runs one work at a time, first come,
 * first served, so a thousand trees to remove keep one thread busy and not all four. Nobody counts
 * what waits in a lane: its bound is its owner's.
 *
 * Loop thread only, except `run`.
 */

#include <uv.h>

#include "base/list.h"

struct work;
typedef void work_fn(struct work *w);

struct lane {
	uv_loop_t *loop;
	struct list waiting; /* struct work, without those that run */
	unsigned n;          /* with them */
	unsigned places;     /* how many run at once */
};

/* All fields are the module's own. */
struct work {
	uv_work_t request;
	struct list link;
	struct lane *lane; /* NULL: none */
	work_fn *run, *done;
	const char *name; /* of `done` */
};

void work_start_named(uv_loop_t *loop, struct work *w, work_fn *run, work_fn *done,
		      const char *name);
#define work_start(loop, w, run, done) work_start_named(loop, w, run, done, #done)

void lane_init(struct lane *l, uv_loop_t *loop);
/* One that runs so many at a time, in no order: for what may hang, and then leaves it the rest of
 * the pool's threads. */
void lane_init_wide(struct lane *l, uv_loop_t *loop, unsigned places);
/* As work_start(), but after all that was added before: their `done` has been called, too. */
void lane_add_named(struct lane *l, struct work *w, work_fn *run, work_fn *done, const char *name);
#define lane_add(l, w, run, done) lane_add_named(l, w, run, done, #done)
/* Nothing runs or waits in it any more. */
void lane_finish(struct lane *l);
