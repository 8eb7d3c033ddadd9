/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Files that are not needed any more: what an archive was unpacked into can be 100,000 files, and
 * an archive many gigabytes, so they are removed by a thread of libuv's pool, one after the other.
 * What cannot be removed is told in the log and left. Loop thread only.
 */

#include "loop/work.h"

/* Takes `path`, a file or a folder with all below it; NULL: nothing to remove. Links are not
 * followed, and what is not there is fine. `done` (may be NULL) is called after that, and after
 * whatever was added to the lane before. */
void removal_add(struct lane *l, char *path, void (*done)(void *arg), void *arg);
