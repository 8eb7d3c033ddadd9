/* SPDX-License-Identifier: Apache-2.0 */
#include "child/job.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/util.h"
#include "child/child.h"
#include "child/output.h"
#include "log/log.h"
#include "loop/turn.h"
#include "wire/json.h"

#define JOB_OUTPUT_MAX ((size_t)16 << 20)
#define JOB_LOOKS 8 /* at what it tells, in stall_ms */

/* How many of a kind run at once. */
static const unsigned jobs_places[JOB_KINDS] = {
	[JOB_UNPACK] = 3,
	[JOB_DOWNLOAD] = 4,
	[JOB_INSTALL] = 2,
	[JOB_PROBE] = 1,
	[JOB_BUILD] = 1,
};

extern char **environ;

struct job {
	struct list link; /* waiting or started */
	struct jobs *jobs;
	enum job_kind kind;
	struct child child;
	uv_timer_t *limit; /* also to report one that could not be started, or does not end */
	uv_timer_t *watch; /* looks whether it gets on */
	uv_poll_t *poll;   /* collects */
	int fd;
	struct buf collected;
	struct output out, err; /* or: to the log */
	char *file, *cwd, *log, **argv;
	uint64_t limit_ms, stall_ms;
	uint64_t steps; /* that it had told of when we last looked … */
	unsigned quiet; /* … and looks since then */
	int progress;   /* descriptor; -1: it tells nothing */
	int failed;     /* -errno: it could not be started */
	bool late, stalled, cancelled, killed;
	void (*done)(void *arg, const struct job_end *end);
	void *arg;
};

static void job_handle_closed(uv_handle_t *h)
{
	free(h);
}

static void job_close(struct job *j)
{
	if (j->limit)
		uv_close((uv_handle_t *)TAKE(j->limit), job_handle_closed);
	if (j->watch)
		uv_close((uv_handle_t *)TAKE(j->watch), job_handle_closed);
	output_close(&j->out);
	output_close(&j->err);
	if (!j->poll)
		return;
	uv_close((uv_handle_t *)TAKE(j->poll), job_handle_closed);
	close(j->fd);
}

static void job_free(struct job *j)
{
	list_remove(&j->link);
	job_close(j);
	for (char **a = j->argv; *a; a++)
		free(*a);
	free(j->argv);
	free(j->file);
	free(j->cwd);
	free(j->log);
	closep(&j->progress);
	buf_finish(&j->collected);
	free(j);
}

static void job_report(struct job *j, const struct job_end *end)
{
	j->done(j->arg, end);
	job_free(j);
}

/* ---- what it prints ---- */

static void job_kill(struct job *j);

static void job_collect(struct job *j)
{
	for (;;) {
		char *at = buf_reserve(&j->collected, 65536);
		ssize_t n = at ? read(j->fd, at, 65536) : 0;

		/* It prints more than any answer has: it would wait for ever to be read. */
		if (!at)
			job_kill(j);
		if (!at || n == 0)
			uv_poll_stop(j->poll);
		if (n <= 0)
			return;
		buf_added(&j->collected, (size_t)n);
	}
}

static void job_readable(uv_poll_t *p, int status, int events)
{
	TURN(p);
	(void)events;
	if (status >= 0)
		job_collect(p->data);
	else
		uv_poll_stop(p);
}

static int job_open_pipe(struct job *j, int *ret_peer)
{
	int pair[2];

	if (pipe2(pair, O_CLOEXEC) < 0)
		return -errno;
	fcntl(pair[0], F_SETFL, O_NONBLOCK);
	j->fd = pair[0];
	j->poll = mem_new(uv_poll_t);
	j->poll->data = j;
	uv_poll_init(j->jobs->loop, j->poll, j->fd);
	uv_poll_start(j->poll, UV_READABLE, job_readable);
	*ret_peer = pair[1];
	return 0;
}

/* ---- its life ---- */

static void jobs_next(struct jobs *js, enum job_kind kind);

/* A place has become free. */
static void job_ended(struct job *j, int status)
{
	struct jobs *js = j->jobs;
	enum job_kind kind = j->kind;

	assert(js->kinds[kind].running > 0);
	js->kinds[kind].running--;
	job_report(j, &(struct job_end){ .status = status,
					 .late = j->late,
					 .stalled = j->stalled,
					 .cancelled = j->cancelled,
					 .output = buf_slice(&j->collected) });
	jobs_next(js, kind);
}

static void job_exited(struct child *c, int status)
{
	struct job *j = container_of(c, struct job, child);

	if (j->poll)
		job_collect(j);
	output_drain(&j->out);
	output_drain(&j->err);
	job_ended(j, status);
}

static uv_timer_t *job_timer(struct job *j)
{
	uv_timer_t *t = mem_new(uv_timer_t);

	t->data = j;
	uv_timer_init(j->jobs->loop, t);
	return t;
}

/* What the kernel holds in a file system that hangs ends when that answers, or never. */
static void job_undead(uv_timer_t *t)
{
	struct job *j = t->data;

	TURN(t);
	log_warn("%s (pid %d) was killed and does not end: it is not waited for any more", j->file,
		 (int)j->child.pid);
	child_abandon(&j->child);
	job_ended(j, CHILD_STATUS_UNKNOWN);
}

static void job_kill(struct job *j)
{
	if (j->killed)
		return;
	j->killed = true;
	child_kill(&j->child, SIGKILL);
	if (j->watch)
		uv_timer_stop(j->watch);
	if (!j->limit)
		j->limit = job_timer(j);
	uv_update_time(j->jobs->loop);
	uv_timer_start(j->limit, job_undead, j->jobs->grace_ms, 0);
}

static void job_late(uv_timer_t *t)
{
	struct job *j = t->data;

	TURN(t);
	if (j->failed) {
		job_ended(j, j->failed);
		return;
	}
	j->late = true;
	job_kill(j);
}

static void job_limit(struct job *j, uint64_t ms)
{
	j->limit = job_timer(j);
	uv_timer_start(j->limit, job_late, ms, 0);
}

/* Looks are counted, not time: while we are stopped nobody gets on. */
static void job_look(uv_timer_t *t)
{
	struct job *j = t->data;
	uint64_t steps = job_progress(j).steps;

	TURN(t);
	j->quiet = steps == j->steps ? j->quiet + 1 : 0;
	j->steps = steps;
	if (j->quiet < JOB_LOOKS)
		return;
	j->stalled = true;
	job_kill(j);
}

static void job_watch(struct job *j)
{
	uint64_t every_ms = MAX(j->stall_ms / JOB_LOOKS, 1);

	j->watch = job_timer(j);
	uv_timer_start(j->watch, job_look, every_ms, every_ms);
}

static int job_open(struct job *j, int ends[2])
{
	int r;

	if (!j->log) {
		ends[1] = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
		return job_open_pipe(j, &ends[0]);
	}
	r = output_open(&j->out, j->jobs->loop, j->log, false, &ends[0]);
	return r ? r : output_open(&j->err, j->jobs->loop, j->log, true, &ends[1]);
}

static int job_run(struct job *j)
{
	struct spawn spawn = {
		.file = j->file, .argv = j->argv, .environment = environ, .cwd = j->cwd
	};
	int ends[2] = { -1, -1 };
	int r = job_open(j, ends);

	spawn.fds[0] = -1;
	spawn.fds[1] = ends[0];
	spawn.fds[2] = ends[1];
	spawn.fds[3] = j->progress;
	if (!r)
		r = child_spawn(j->jobs->children, &j->child, &spawn, job_exited);
	closep(&ends[0]);
	closep(&ends[1]);
	return r;
}

static void jobs_next(struct jobs *js, enum job_kind kind)
{
	struct list *waiting = &js->kinds[kind].waiting;

	while (js->kinds[kind].running < jobs_places[kind] && !list_empty(waiting) &&
	       !js->stopping) {
		struct job *j = container_of(list_pop(waiting), struct job, link);

		list_push_back(&js->started, &j->link);
		js->kinds[kind].running++;
		j->failed = job_run(j);
		if (j->failed)
			job_limit(j, 0); /* nobody is told before job_start() has returned */
		else if (j->limit_ms)
			job_limit(j, j->limit_ms);
		if (!j->failed && j->stall_ms)
			job_watch(j);
	}
}

void jobs_init(struct jobs *js, uv_loop_t *loop, struct children *children)
{
	*js = (struct jobs){ .loop = loop, .children = children, .grace_ms = JOB_GRACE_MS };
	list_init(&js->started);
	for (size_t i = 0; i < JOB_KINDS; i++)
		list_init(&js->kinds[i].waiting);
}

static struct job *job_create(struct jobs *js, const struct job_spec *spec)
{
	struct job *j = mem_new(struct job);
	size_t n = 0;

	while (spec->argv[n])
		n++;
	j->argv = mem_zalloc((n + 1) * sizeof(*j->argv));
	for (size_t i = 0; i < n; i++)
		j->argv[i] = mem_strdup(spec->argv[i]);
	j->jobs = js;
	j->kind = spec->kind;
	j->file = mem_strdup(spec->file);
	j->cwd = spec->cwd ? mem_strdup(spec->cwd) : NULL;
	j->log = spec->log ? mem_strdup(spec->log) : NULL;
	j->limit_ms = spec->limit_ms;
	j->stall_ms = spec->stall_ms;
	j->progress = spec->progress ? progress_create() : -1; /* less than 0: it tells nothing */
	list_init(&j->link);
	buf_init(&j->collected, JOB_OUTPUT_MAX);
	return j;
}

struct job *job_start(struct jobs *js, const struct job_spec *spec,
		      void (*done)(void *arg, const struct job_end *end), void *arg)
{
	struct job *j;

	assert(spec->kind < JOB_KINDS);
	assert(!spec->stall_ms || spec->progress);
	if (js->stopping) {
		done(arg, &(struct job_end){ .stopped = true });
		return NULL;
	}
	j = job_create(js, spec);
	j->done = done;
	j->arg = arg;
	list_push_back(&js->kinds[j->kind].waiting, &j->link);
	jobs_next(js, j->kind);
	return j;
}

void job_cancel(struct job *j)
{
	j->cancelled = true;
	if (j->child.pid)
		job_kill(j);
	else if (!j->failed)
		job_report(j, &(struct job_end){ .cancelled = true });
}

bool job_waits(const struct job *j)
{
	return !j->child.pid;
}

struct progress job_progress(const struct job *j)
{
	return progress_read(j->progress);
}

void job_read_failure(yyjson_val *root, struct region *region, int *status, const char **type,
		      const char **message)
{
	int64_t code = 500;

	if (!yyjson_is_obj(root))
		return;
	json_i64(root, "status", &code);
	*status = code >= 400 && code < 600 ? (int)code : 500;
	*type = json_text(region, root, "type").p;
	*message = json_text(region, root, "message").p;
}

static struct job *jobs_any(struct jobs *js)
{
	struct list *n = list_first(&js->started);

	for (size_t i = 0; !n && i < JOB_KINDS; i++)
		n = list_first(&js->kinds[i].waiting);
	return n ? container_of(n, struct job, link) : NULL;
}

void jobs_stop(struct jobs *js)
{
	struct job *j;

	js->stopping = true;
	while ((j = jobs_any(js))) {
		child_abandon(&j->child);
		job_report(j, &(struct job_end){ .stopped = true });
	}
	for (size_t i = 0; i < JOB_KINDS; i++)
		js->kinds[i].running = 0;
}
