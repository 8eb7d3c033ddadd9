/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Workers of several processes: models with parallelType pp, tp or pptp, for which TorchServe runs
 * torchrun. Each process is a rank. Rank 0 is the worker's own child, has its socket and answers;
 * it hands what it gets on to the others (python/sconce/ranks.py). The end of any of them is the
 * end of all, and of the worker. Loop thread only.
 */

#include "fleet/worker.h"

/* Processes of one worker of this version; 0: it is an ordinary one. */
unsigned ranks_wanted(const struct version *v);
/* Threads that each of them uses: OMP_NUMBER_THREADS. */
unsigned ranks_threads(const struct version *v);
/* Computers that one worker spans. */
unsigned ranks_nodes(const struct version *v);

/* Starts all processes of `w`; `ends` as in worker_launch(). On failure those that run end with
 * the worker. */
int ranks_launch(struct worker *w, const int ends[4]);
/* Ends those beside rank 0. */
void ranks_end(struct worker *w);

/* What tells a process which rank it is: calls set() with whole "NAME=value" lines to keep. */
void ranks_environment(const struct worker *w, unsigned rank, void (*set)(void *arg, char *line),
		       void *arg);
