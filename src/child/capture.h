/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Short commands whose output is wanted, run to their end before the loop turns. */

#include "base/buf.h"

/* Where the PATH has an executable of this name; NULL: nowhere. Free it. */
char *capture_find(struct slice name);
/* Runs a program (a path, no search) in our environment, without input, and appends what it writes
 * to its standard output. Its whole group is killed after limit_ms, or when it writes more than
 * `out` may hold. 0: it exited with 0; -ETIMEDOUT, -ENOBUFS, -EIO for another end. */
int capture_run(const char *path, const char *const *arguments, unsigned limit_ms, struct buf *out);
