/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Workers of several processes: models with parallelType pp, tp or pptp, for which TorchServe runs
 * torchrun. Each process is a rank. Rank 0 is the worker's own child, has its socket and answers;
 * it hands what it gets on to the others (python/sconce/ranks.py). The end of any of them is the
 * end of all, and of the worker. Loop thread only.
 */

#include "archive/archive.h"
#include "core/devices.h"

/* Processes of one worker of such a model; 0: it is an ordinary one. */
unsigned ranks_wanted(const struct manifest *m, const struct devices *d);
/* Computers that one worker spans. */
unsigned ranks_nodes(const struct manifest *m, const struct devices *d);
