/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * How long the loop did not look at its sockets: a turn begins with the first callback that libuv
 * makes after it has polled, and ends just before it polls again. While it lasts everybody waits,
 * so no callback may block; this is where one that does is found, by its name.
 *
 * Each callback that libuv makes begins with
 *
 *     TURN(handle);
 *
 * which reads the clock once (25 ns). tools/tidy.py knows which functions those are. A callback's
 * time goes to the next mark, or to the turn's end.
 *
 * A turn above `warn_ns` is told in the log, once a second at most. Time that our thread was ready
 * but other processes had all the CPUs (the kernel counts it, in /proc) is not the callback's
 * fault: it is in what `ended` is told, but does not count for the warning.
 *
 * Loop thread only. The loop's `data` is the turn; where it is NULL nothing is measured.
 */

#include <uv.h>

#include "base/clock.h"

/* A turn is over: its whole time. */
typedef void turn_ended(void *arg, uint64_t took_ns);

struct turn {
	uv_prepare_t end;
	turn_ended *ended;
	void *arg;
	uint64_t warn_ns;

	const char *name; /* of the callback that runs; NULL: none has yet */
	uint64_t began_ns, since_ns;
	const char *longest; /* of this turn's callbacks so far */
	uint64_t longest_ns;

	int schedstat;                 /* -1: the kernel does not tell */
	uint64_t waited_ns, looked_ns; /* for a CPU, when we looked last */
	uint64_t warned_ns;
	unsigned untold; /* turns above the limit since then */
};

/* Before all other handles of the loop, so that their work at the end of a turn belongs to it.
 * `ended` may be NULL. */
void turn_init(struct turn *t, uv_loop_t *loop, uint64_t warn_ns, turn_ended *ended, void *arg);
/* Its handle is closed while the loop runs on. */
void turn_finish(struct turn *t);

/* A callback begins. */
void turn_enter(struct turn *t, const char *name, uint64_t now_ns);
/* The turn ends. Returns its time, 0 when no callback was made; `longest` says what to blame. */
uint64_t turn_leave(struct turn *t, uint64_t now_ns);

static inline void turn_mark(uv_loop_t *loop, const char *name)
{
	struct turn *t = loop->data;

	if (t)
		turn_enter(t, name, clock_now_ns());
}

#define TURN(handle) turn_mark((handle)->loop, __func__)

/* When the callback that runs began: for deadlines and durations that need not be exact to the
 * microsecond, without another look at the clock. Never later than now, and never before an earlier
 * callback's. Where nothing is measured, and outside of callbacks: now. */
static inline uint64_t turn_now_ns(const uv_loop_t *loop)
{
	const struct turn *t = loop->data;

	return t && t->name ? t->since_ns : clock_now_ns();
}
