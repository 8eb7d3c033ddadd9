/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Tells when the files of a model in development have changed: sources and configuration below a
 * folder (.py, .yaml, .yml, .json), or single files of any kind. Editors write in several steps and
 * handlers write files of their own, so an event only means "look": what counts is whether inode,
 * size or time of a file that matters is another. Folders are read by a thread of the pool. Loop
 * thread only.
 */

#include <uv.h>

struct watch;

/* `places`: folders (with what is below them, except hidden ones, caches and environments) and
 * files; NULL-terminated; all must outlive the watch. `changed` is called with the name of a file
 * that has changed, as far as it is known, and only after watch_start()'s first look is over. */
struct watch *watch_create(uv_loop_t *loop, const char *const *places,
			   void (*changed)(void *arg, const char *name), void *arg);
/* `changed` is not called any more. The loop must run on until nothing is left to do. */
void watch_destroy(struct watch *w);
