/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A short-lived child that does what the front must not do itself: unpack an archive, download one,
 * install packages. At most a few run at once; others wait their turn. Loop thread only.
 */

#include <uv.h>
#include <yyjson.h>

#include "base/list.h"
#include "base/region.h"
#include "child/child.h"

struct jobs {
	uv_loop_t *loop;
	struct children *children;
	struct list started, waiting; /* struct job, oldest first */
	unsigned running;
	bool stopping; /* nothing is started any more */
};

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

/* `children` must outlive the jobs. */
void jobs_init(struct jobs *js, uv_loop_t *loop, struct children *children);
/* The server stops: kills what runs, forgets what waits, tells all who asked; what is asked for
 * from now on is refused. */
void jobs_stop(struct jobs *js);

/* Copies the spec. `done` is called once: from the loop, from jobs_stop(), or before this returns
 * when the server stops already. */
void job_start(struct jobs *js, const struct job_spec *spec,
	       void (*done)(void *arg, const struct job_end *end), void *arg);
/* What archive_error_write_json() wrote: fills in the three, texts in the region. `root` that is no
 * object leaves them alone. */
void job_read_failure(yyjson_val *root, struct region *region, int *status, const char **type,
		      const char **message);
