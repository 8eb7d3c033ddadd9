/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Zygotes: Python processes that have imported the worker (one kind also torch) and fork a copy of
 * themselves for every worker, which then starts in milliseconds and shares their memory. Started
 * when first needed. A zygote that dies is started again; workers it has made live on. Loop thread
 * only.
 */

#include "fleet/fleet.h"

struct worker;

struct zygotes *zygotes_create(struct fleet *f);
/* Ends them all. */
struct zygotes *zygotes_destroy(struct zygotes *z);

enum { ZYGOTE_OFF = 1 };
/* Asks for a worker process: `fds` become 1, 2, 3 in it. worker_launched() follows with its pid, or
 * 0. ZYGOTE_OFF: not enabled or not working, start it yourself. */
int zygotes_spawn(struct zygotes *z, struct worker *w, char *const *environment, const char *cwd,
		  const int fds[3]);
/* The worker is about to go away: its answer, if still due, is ignored. */
void zygotes_forget(struct zygotes *z, struct worker *w);
