/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A short-lived child that does what the front must not do itself: unpack an archive, download one,
 * install packages. Of each kind a few run at once and others wait their turn, so that what waits
 * for somebody's network never holds up what needs none. Loop thread only.
 */

#include <uv.h>
#include <yyjson.h>

#include "base/list.h"
#include "base/progress.h"
#include "base/region.h"
#include "child/child.h"

/* Who does not even end when it is killed (its file system hangs) is not waited for longer. */
#define JOB_GRACE_MS 5000

enum job_kind {
	JOB_UNPACK, /* needs disk and processor, nothing else (but a disk may be a network, too) */
	JOB_DOWNLOAD, /* waits for a network */
	JOB_INSTALL,  /* needs both, for long */
	JOB_PROBE,    /* is over in a moment */
	JOB_BUILD,    /* needs a processor, for a minute */
	JOB_KINDS,
};

struct job;

struct jobs {
	uv_loop_t *loop;
	struct children *children;
	struct list started; /* struct job */
	struct {
		struct list waiting; /* struct job, oldest first; its bound is its owners' */
		unsigned running;
	} kinds[JOB_KINDS];
	uint64_t grace_ms; /* JOB_GRACE_MS */
	bool stopping;     /* nothing is started any more */
};

struct job_spec {
	enum job_kind kind;
	const char *file;        /* path, no search */
	const char *const *argv; /* argv[0] included, NULL at the end */
	const char *cwd;         /* NULL: ours */
	uint64_t limit_ms;       /* killed then; 0: never */
	uint64_t stall_ms;       /* killed when it has told no progress for so long; 0: never */
	const char *log;         /* what it prints goes to the model log under this name; NULL: its
				  * standard output is collected, its errors are ours */
	bool progress;           /* its descriptor 3 is for progress_tell() */
};

struct job_end {
	int status;          /* as from waitpid(); -errno: it was never started */
	bool late;           /* limit_ms was over */
	bool stalled;        /* stall_ms was */
	bool stopped;        /* the server stops: it was not waited for */
	bool cancelled;      /* by job_cancel(); `status` says nothing */
	struct slice output; /* collected, for as long as the call */
};

/* `children` must outlive the jobs. */
void jobs_init(struct jobs *js, uv_loop_t *loop, struct children *children);
/* The server stops: kills what runs, forgets what waits, tells all who asked; what is asked for
 * from now on is refused. */
void jobs_stop(struct jobs *js);

/* Copies the spec. `done` is called once, and ends the job: from the loop, from job_cancel() or
 * from jobs_stop(). NULL: it has been called already, because the server stops. */
struct job *job_start(struct jobs *js, const struct job_spec *spec,
		      void (*done)(void *arg, const struct job_end *end), void *arg);
/* Nobody wants it any more: kills it, and reports when it is gone; at once where it had not begun.
 */
void job_cancel(struct job *j);
/* It has not begun. */
bool job_waits(const struct job *j);
struct progress job_progress(const struct job *j);

/* What archive_error_write_json() wrote: fills in the three, texts in the region. `root` that is no
 * object leaves them alone. */
void job_read_failure(yyjson_val *root, struct region *region, int *status, const char **type,
		      const char **message);
