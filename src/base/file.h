/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Whole files, bounded, and the folder work that several modules need. Blocking: not for bodies. */

#include "base/buf.h"

/* Appends the file to `out`; `out`'s bound is the limit. Never waits for a writer: what is no
 * regular file (a pipe, a device) is -ENOTSUP. -ENOENT, -EISDIR, -ENOBUFS (too long), … */
int file_read(const char *path, struct buf *out);
/* The same of a path that the user typed: it may be a pipe (`<(…)`, /dev/stdin). */
int file_read_stream(const char *path, struct buf *out);
/* Replaces the file atomically (temporary file, fsync, rename, fsync of the folder): after a power
 * cut either the old or the new content is there. */
int file_write_atomic(const char *path, struct slice content, unsigned mode);
/* mkdir -p. */
int file_make_dirs(const char *path, unsigned mode);
/* rm -r. Never follows links, also where somebody puts them in its way meanwhile, and stays in its
 * file system. Missing is fine. Stops at the first error, which it returns. */
int file_remove_tree(const char *path);
int file_remove_tree_at(int folder, const char *name);
/* The same, but no longer than until then (by clock_now_ns(); 0: to the end), which another thread
 * may still change: -ETIMEDOUT, and the rest is left. */
int file_remove_tree_until(int folder, const char *name, const _Atomic uint64_t *until_ns);
/* "<folder of the running executable>/<path>", whether it is there or not; NULL: the system does
 * not tell where we are. free() it. */
char *file_beside_us(const char *path);
