/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/util.h"
#include "child/job.h"

#define MANY 16
/* 7 of 9, in one step. */
#define TELL                                                                                       \
	"printf '\\7\\0\\0\\0\\0\\0\\0\\0\\11\\0\\0\\0\\0\\0\\0\\0\\1\\0\\0\\0\\0\\0\\0\\0' >&3; "

struct seen {
	struct job *job;
	struct job_end end;
	char output[32];
	unsigned told;
};

static uv_loop_t loop;
static struct children children;
static struct jobs jobs;
static struct seen seen[MANY];

static void ended(void *arg, const struct job_end *end)
{
	struct seen *s = arg;

	s->end = *end;
	snprintf(s->output, sizeof(s->output), "%.*s", SLICE_ARG(end->output));
	s->told++;
	s->job = NULL;
	uv_stop(&loop);
}

static struct seen *start(enum job_kind kind, const char *script)
{
	static unsigned next;
	struct seen *s = &seen[next++ % MANY];

	*s = (struct seen){ 0 };
	s->job = job_start(
		&jobs,
		&(struct job_spec){ .kind = kind,
				    .file = "/bin/sh",
				    .argv = (const char *const[]){ "sh", "-c", script, NULL },
				    .progress = true },
		ended, s);
	return s;
}

/* Until it was told of its end. */
static void wait_for(const struct seen *s)
{
	uv_ref((uv_handle_t *)&children.sigchld);
	while (!s->told)
		uv_run(&loop, UV_RUN_DEFAULT);
	uv_unref((uv_handle_t *)&children.sigchld);
}

static void what_is_printed_is_collected(void **state)
{
	struct seen *s = start(JOB_UNPACK, "echo done; exit 3");

	(void)state;
	wait_for(s);
	assert_string_equal(s->output, "done\n");
	assert_int_equal(s->end.status, 3 << 8);
}

static unsigned open_files(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void nothing_stays_open(void **state)
{
	unsigned before = open_files();
	struct seen *s;

	(void)state;
	s = start(JOB_UNPACK, "exit 0");
	wait_for(s);
	assert_int_equal(open_files(), before);
}

static void a_kind_that_is_stuck_holds_up_no_other(void **state)
{
	struct seen *stuck[8], *local;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(stuck); i++)
		stuck[i] = start(JOB_DOWNLOAD, "exec sleep 1000");
	assert_true(job_waits(stuck[ARRAY_LEN(stuck) - 1]->job));
	local = start(JOB_UNPACK, "exit 0");
	assert_false(job_waits(local->job));
	wait_for(local);
	for (size_t i = ARRAY_LEN(stuck); i-- > 0;) {
		job_cancel(stuck[i]->job);
		wait_for(stuck[i]);
		assert_true(stuck[i]->end.cancelled);
		assert_int_equal(stuck[i]->told, 1);
	}
	assert_int_equal(jobs.kinds[JOB_DOWNLOAD].running, 0);
}

static void a_place_that_becomes_free_is_taken(void **state)
{
	struct seen *first = start(JOB_PROBE, "exec sleep 1000");
	struct seen *second = start(JOB_PROBE, "echo two");

	(void)state;
	assert_true(job_waits(second->job));
	job_cancel(first->job);
	wait_for(second);
	assert_string_equal(second->output, "two\n");
	assert_int_equal(first->told, 1);
}

static void what_cannot_be_started_is_told_later(void **state)
{
	struct seen *s = &seen[0];

	(void)state;
	*s = (struct seen){ 0 };
	s->job = job_start(&jobs,
			   &(struct job_spec){ .kind = JOB_PROBE,
					       .file = "/nonexistent",
					       .argv = (const char *const[]){ "none", NULL } },
			   ended, s);
	assert_non_null(s->job);
	assert_int_equal(s->told, 0);
	wait_for(s);
	assert_int_equal(s->end.status, 127 << 8);
}

static void progress_is_what_the_child_says(void **state)
{
	struct seen *s = start(JOB_UNPACK, TELL "echo said; read x");
	struct progress p = { 0 };

	(void)state;
	assert_int_equal(job_progress(s->job).done, 0);
	wait_for(s); /* its input is /dev/null */
	s = start(JOB_UNPACK, TELL "exec sleep 1000");
	while (!p.total) {
		uv_run(&loop, UV_RUN_NOWAIT);
		p = job_progress(s->job);
	}
	assert_int_equal(p.done, 7);
	assert_int_equal(p.total, 9);
	job_cancel(s->job);
	wait_for(s);
}

static struct seen *start_watched(const char *script)
{
	struct seen *s = start(JOB_UNPACK, "exit 0");

	wait_for(s);
	*s = (struct seen){ 0 };
	s->job = job_start(
		&jobs,
		&(struct job_spec){ .kind = JOB_UNPACK,
				    .file = "/bin/sh",
				    .argv = (const char *const[]){ "sh", "-c", script, NULL },
				    .stall_ms = 80,
				    .progress = true },
		ended, s);
	return s;
}

static void what_gets_no_further_is_ended(void **state)
{
	struct seen *s = start_watched("exec sleep 1000");

	(void)state;
	wait_for(s);
	assert_true(s->end.stalled && !s->end.late && !s->end.cancelled);
	assert_int_equal(jobs.kinds[JOB_UNPACK].running, 0);
}

/* Tells what a child should, from the loop: so how loaded the machine is makes no difference. */
static void tell_for_it(uv_timer_t *t)
{
	static uint64_t steps;
	struct progress p = { 0, 0, ++steps };
	int *fd = t->data;

	assert_int_equal(pwrite(*fd, &p, sizeof(p), 0), sizeof(p));
}

static int open_progress(const char *path)
{
	unsigned pid = 0;
	char name[64];

	while (!pid) {
		FILE *f = fopen(path, "r");

		if (f && fscanf(f, "%u\n", &pid) != 1)
			pid = 0;
		if (f)
			fclose(f);
	}
	snprintf(name, sizeof(name), "/proc/%u/fd/3", pid);
	return open(name, O_WRONLY | O_CLOEXEC);
}

static void what_gets_on_is_not(void **state)
{
	char path[] = "/tmp/sconce-test-job-XXXXXX", script[128];
	int fd = mkstemp(path), progress;
	uv_timer_t teller;
	struct seen *s;

	(void)state;
	close(fd);
	snprintf(script, sizeof(script), "echo $$ >%s; exec sleep 1000", path);
	s = start_watched(script);
	progress = open_progress(path);
	assert_true(progress >= 0);
	teller.data = &progress;
	uv_timer_init(&loop, &teller);
	uv_timer_start(&teller, tell_for_it, 0, 5);
	for (unsigned i = 0; i < 60; i++)
		uv_run(&loop, UV_RUN_ONCE);
	assert_int_equal(s->told, 0);
	uv_close((uv_handle_t *)&teller, NULL);
	wait_for(s);
	assert_true(s->end.stalled);
	close(progress);
	unlink(path);
}

/* As in a file system that hangs: it is killed, and nobody hears of its end. */
static void what_does_not_even_end_is_not_waited_for(void **state)
{
	struct seen *s = start(JOB_PROBE, "exec sleep 1000"), *next;

	(void)state;
	jobs.grace_ms = 20;
	uv_signal_stop(&children.sigchld);
	job_cancel(s->job);
	assert_int_equal(s->told, 0);
	while (!s->told)
		uv_run(&loop, UV_RUN_DEFAULT);
	assert_true(s->end.cancelled);
	assert_int_equal(jobs.kinds[JOB_PROBE].running, 0);
	next = start(JOB_PROBE, "exit 0");
	assert_false(job_waits(next->job));
}

static void stopping_tells_all(void **state)
{
	struct seen *running = start(JOB_PROBE, "exec sleep 1000");
	struct seen *waiting = start(JOB_PROBE, "exit 0"), *refused;

	(void)state;
	jobs_stop(&jobs);
	assert_true(running->end.stopped && waiting->end.stopped);
	refused = start(JOB_PROBE, "exit 0");
	assert_null(refused->job);
	assert_true(refused->told == 1 && refused->end.stopped);
}

static int set_up(void **state)
{
	(void)state;
	uv_loop_init(&loop);
	jobs_init(&jobs, &loop, &children);
	return children_init(&children, &loop);
}

static int tear_down(void **state)
{
	(void)state;
	jobs_stop(&jobs);
	children_finish(&children);
	/* What was told outside of it has stopped the loop's next turn. */
	while (uv_loop_close(&loop) == UV_EBUSY)
		uv_run(&loop, UV_RUN_DEFAULT);
	return 0;
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(what_is_printed_is_collected),
		TEST(nothing_stays_open),
		TEST(a_kind_that_is_stuck_holds_up_no_other),
		TEST(a_place_that_becomes_free_is_taken),
		TEST(what_cannot_be_started_is_told_later),
		TEST(progress_is_what_the_child_says),
		TEST(what_gets_no_further_is_ended),
		TEST(what_gets_on_is_not),
		TEST(what_does_not_even_end_is_not_waited_for),
		TEST(stopping_tells_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
