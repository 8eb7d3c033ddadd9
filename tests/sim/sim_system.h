/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the simulator puts in place of the system, for the front and for libuv alike: the clock,
 * the calls that may fail, and libuv's pool. They are functions of this program with the names of
 * the C library's (the linker prefers them), or wrapped ones (--wrap, see meson.build), so nothing
 * in src/ knows of them.
 *
 * Time stands still but for system_advance(). Work for the pool is done at once, and reported in
 * the loop's next turn: nothing here depends on another thread.
 */

#include <uv.h>

#include "sim_random.h"

/* Before the front is built. `loop` must be there until system_finish(). */
void system_init(uv_loop_t *loop, uint64_t seed, bool show_log);
void system_finish(void);

void system_advance(uint64_t ns);
uint64_t system_now_ns(void);
/* Real time, for reports only. */
uint64_t system_real_ns(void);

/* Calls that fail, now and then, while the front runs; of a thousand. */
struct system_faults {
	unsigned descriptors; /* socketpair(), pipe2(), memfd_create() */
	unsigned short_write; /* to a client: a part of it */
	unsigned again;       /* EAGAIN */
	unsigned broken;      /* EPIPE, ECONNRESET */
};
void system_set_faults(const struct system_faults *f);

/* Runs the loop once without waiting. Returns how many reads and writes that took. */
unsigned system_turn(void);
/* Runs something of the front outside the loop, as if it were a callback. */
void system_enter(void);
void system_leave(void);
