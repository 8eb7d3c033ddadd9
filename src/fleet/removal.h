/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Files that are not needed any more: what an archive was unpacked into can be 100,000 files, and
 * an archive many gigabytes, so they are removed by a thread of libuv's pool, one after the other.
 * What cannot be removed, or not in time, is told in the log and left. Loop thread only.
 */

#include <stdint.h>

#include "loop/work.h"

struct removals {
	struct lane lane;
	_Atomic uint64_t until_ns; /* 0: there is time */
};

void removals_init(struct removals *rs, uv_loop_t *loop);
void removals_finish(struct removals *rs);
/* Nothing is removed after that, by clock_now_ns(), also of what is being removed now. */
void removals_limit(struct removals *rs, uint64_t until_ns);
/* Takes `path`, a file or a folder with all below it; NULL: nothing to remove. Links are not
 * followed, and what is not there is fine. `done` (may be NULL) is called after that, and after
 * whatever was added before. */
void removal_add(struct removals *rs, char *path, void (*done)(void *arg), void *arg);
