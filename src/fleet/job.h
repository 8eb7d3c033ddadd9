/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A short-lived child that does what the front must not do itself: unpack an archive, download one,
 * install packages. At most a few run at once; others wait their turn. Loop thread only.
 */

#include <yyjson.h>

#include "base/region.h"

struct fleet;

struct job_spec {
	const char *file;        /* path, no search */
	const char *const *argv; /* argv[0] included, NULL at the end */
	const char *cwd;         /* NULL: ours */
	uint64_t limit_ms;       /* killed then; 0: never */
	const char *log;         /* what it prints goes to the model log under this name; NULL: its
				  * standard output is collected, its errors are ours */
};

struct job_end {
	int status;          /* as from waitpid(); -errno: it was never started */
	bool late;           /* limit_ms was over */
	bool stopped;        /* the server stops: it was not waited for */
	struct slice output; /* collected, for as long as the call */
};

/* Copies the spec. `done` is called once: from the loop, from job_abandon_all(), or before this
 * returns when the server stops already. */
void job_start(struct fleet *f, const struct job_spec *spec,
	       void (*done)(void *arg, const struct job_end *end), void *arg);
/* What archive_error_write_json() wrote: fills in the three, texts in the region. `root` that is no
 * object leaves them alone. */
void job_read_failure(yyjson_val *root, struct region *region, int *status, const char **type,
		      const char **message);
/* The server stops: kills what runs, forgets what waits, tells all who asked. */
void job_abandon_all(struct fleet *f);
