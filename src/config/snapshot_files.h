/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The folder of snapshots, <log_location>/config, and the names in it:
 * yyyyMMddHHmmssSSS-{startup|snapshot|shutdown}.cfg. Their order is the order of their names; a new
 * name is always above all others, even when the clock was set back. Blocking.
 */

#include "base/buf.h"

#define SNAPSHOTS_KEPT 20

struct snapshot_files {
	char **names; /* *.cfg, newest (greatest) first */
	size_t n;
};

/* A folder that cannot be read has none. */
void snapshot_files_list(struct snapshot_files *f, const char *folder);
void snapshot_files_finish(struct snapshot_files *f);

/* Is it a name that we or TorchServe give? */
bool snapshot_name_is(const char *name);
/* A new name (free() it), above `after` (NULL: any). */
char *snapshot_name_make(const char *kind, uint64_t now_ms, const char *after);

/* Writes <folder>/<name> so that a power cut leaves all of it or nothing, and removes all but the
 * newest SNAPSHOTS_KEPT. 0 or -errno. */
int snapshot_files_write(const char *folder, const char *name, struct slice text);
/* Removes what writing left behind when it was cut off. Not while another server writes. */
void snapshot_files_sweep(const char *folder);
