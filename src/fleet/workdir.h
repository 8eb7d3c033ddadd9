/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The folder of one server in which archives are unpacked: <tmp>/models/sconce-<uuid>, locked for
 * as long as the server lives. What servers that were killed left behind is known by its lock being
 * free, and is removed by the next one: also what one that stopped had no time to remove. Loop
 * thread only.
 */

#include "base/buf.h"

struct removals;

struct workdir {
	char *path;
	int lock; /* -1: none */
};

/* `tmp`: NULL means /tmp. Returns 0, or -errno with a sentence in `why`, also where others than
 * this user and root could change what is in <tmp>/models; workdir_finish() is right in both cases.
 * `sweeps` removes what others have left, for as long as that takes: nobody should wait behind it.
 */
int workdir_make(struct workdir *d, const char *tmp, struct removals *sweeps, struct buf *why);
/* Has the folder removed; `d` stays where it is until that is done. */
void workdir_finish(struct workdir *d, struct removals *removals);
