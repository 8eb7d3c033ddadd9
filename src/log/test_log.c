/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "log/log.h"

#define THREADS 4
#define LINES 2000

struct place {
	char folder[32];
	char *logs;
	struct log_config c;
	int saved_fd; /* of the descriptor that was replaced */
};

static int setup(void **state)
{
	struct place *p = mem_new(struct place);

	memcpy(p->folder, "/tmp/test_log.XXXXXX", 21);
	*state = p;
	if (!mkdtemp(p->folder))
		return -1;
	p->logs = mem_printf("%s/a/logs", p->folder);
	p->c = (struct log_config){ .location = p->logs,
				    .level = LOG_INFO,
				    .access = true,
				    .rotate_bytes = 100 << 20,
				    .rotate_keep = 5 };
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;

	log_stop();
	file_remove_tree(p->folder);
	free(p->logs);
	free(p);
	return 0;
}

static char *read_file(const char *path)
{
	struct buf b = BUF_INIT(16 << 20);

	assert_int_equal(file_read(path, &b), 0);
	return buf_steal(&b);
}

static char *read_log(const struct place *p, const char *name)
{
	_cleanup_(freep) char *path = mem_printf("%s/%s", p->logs, name);

	return read_file(path);
}

static void expect_end(const struct place *p, const char *name, const char *want)
{
	_cleanup_(freep) char *text = read_log(p, name);

	assert_true(slice_ends(slice_str(text), slice_str(want)));
}

/* Sends descriptor `fd` to a file while a test looks at what is written there. */
static char *redirect(struct place *p, int fd)
{
	char *path = mem_printf("%s/fd%d", p->folder, fd);
	int to = open(path, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);

	assert_true(to >= 0);
	fflush(stdout);
	p->saved_fd = dup(fd);
	dup2(to, fd);
	close(to);
	return path;
}

static void restore(struct place *p, int fd)
{
	dup2(p->saved_fd, fd);
	close(p->saved_fd);
}

static const struct log_subject about = { "4f9e", "", "" };

static void test_files_and_layouts(void **state)
{
	struct place *p = *state;
	_cleanup_(freep) char *metrics = mem_printf("%s/metrics", p->folder);
	_cleanup_(freep) char *path = mem_printf("%s/model_metrics.log", metrics);
	_cleanup_(freep) char *text = NULL;
	char name[] = "W-9000-m_1.0-stdout";

	p->c.metrics_location = metrics;
	assert_int_equal(log_start(&p->c), 0);
	assert_int_equal(access(p->logs, F_OK), 0);
	log_info("%s %d", "server", 1);
	log_debug("not at this level");
	log_access("/127.0.0.1:4711", SLICE("GET"), SLICE("/a\"b\n"), 1, 200, 12, &about);
	log_text(LOG_MODEL, LOG_INFO, name, "MODEL_LOG", SLICE("hello\x1b"));
	log_text(LOG_MODEL, LOG_DEBUG, name, "MODEL_LOG", SLICE("not at this level"));
	log_text(LOG_MODEL_METRICS, LOG_INFO, NULL, "MODEL_METRICS", SLICE("m.Count:1|#"));
	log_flush();
	expect_end(p, "ts_log.log", " [INFO ] main sconce - server 1\n");
	expect_end(p, "access_log.log", " - /127.0.0.1:4711 \"GET /a\\\"b\\n HTTP/1.1\" 200 12\n");
	expect_end(p, "model_log.log", " [INFO ] W-9000-m_1.0-stdout MODEL_LOG - hello\\x1b\n");
	text = read_file(path);
	assert_string_equal(text + 23, " - m.Count:1|#\n");
	assert_int_equal(log_dropped(), 0);
}

static void test_console_has_everything_in_full(void **state)
{
	struct place *p = *state;
	_cleanup_(freep) char *path = redirect(p, STDOUT_FILENO);
	_cleanup_(freep) char *text = NULL;

	p->c.console = true;
	p->c.location = NULL;
	assert_int_equal(log_start(&p->c), 0);
	log_access("/unix", SLICE("GET"), SLICE("/ping"), 0, 404, 0, &about);
	log_text(LOG_SERVER_METRICS, LOG_INFO, "t", "TS_METRICS", SLICE("x"));
	log_stop();
	restore(p, STDOUT_FILENO);
	text = read_file(path);
	assert_non_null(
		strstr(text, " [INFO ] main ACCESS_LOG - /unix \"GET /ping HTTP/1.0\" 404 0\n"));
	assert_non_null(strstr(text, " [INFO ] t TS_METRICS - x\n"));
}

static void test_access_can_be_off(void **state)
{
	struct place *p = *state;
	_cleanup_(freep) char *text = NULL;

	p->c.access = false;
	assert_int_equal(log_start(&p->c), 0);
	log_access("/unix", SLICE("GET"), SLICE("/ping"), 1, 200, 0, &about);
	log_flush();
	text = read_log(p, "access_log.log");
	assert_string_equal(text, "");
}

static void test_unwritable_folder_leaves_the_console(void **state)
{
	struct place *p = *state;
	_cleanup_(freep) char *path = NULL, *text = NULL;
	int r, fd = open(p->folder, O_DIRECTORY | O_RDONLY);

	/* A file where the folder should be: works for root, too. */
	close(openat(fd, "a", O_CREAT | O_WRONLY, 0600));
	close(fd);
	path = redirect(p, STDOUT_FILENO);
	r = log_start(&p->c);
	log_info("still here");
	log_stop();
	restore(p, STDOUT_FILENO);
	assert_int_equal(r, -ENOTDIR);
	text = read_file(path);
	assert_non_null(strstr(text, "[WARN ] main sconce - no log files in "));
	assert_non_null(strstr(text, "still here\n"));
}

static void test_stderr_before_start_and_after_stop(void **state)
{
	struct place *p = *state;
	_cleanup_(freep) char *path = redirect(p, STDERR_FILENO);
	_cleanup_(freep) char *text = NULL;

	log_warn("before");
	log_start(&p->c);
	log_warn("between");
	log_stop();
	log_stop();
	log_flush();
	log_reopen();
	log_warn("after");
	restore(p, STDERR_FILENO);
	text = read_file(path);
	assert_non_null(strstr(text, "before\n"));
	assert_null(strstr(text, "between\n"));
	assert_non_null(strstr(text, "after\n"));
	expect_end(p, "ts_log.log", "between\n");
}

static void test_long_texts_are_cut(void **state)
{
	struct place *p = *state;
	_cleanup_(freep) char *big = mem_alloc(100001), *text = NULL;

	memset(big, 'x', 100000);
	big[100000] = 0;
	assert_int_equal(log_start(&p->c), 0);
	log_info("%s", big);
	log_access("/p", SLICE("GET"), slice_str(big), 1, 200, 0, &about);
	log_flush();
	expect_end(p, "ts_log.log", "x...\n");
	expect_end(p, "access_log.log", "x... HTTP/1.1\" 200 0\n");
	text = read_log(p, "access_log.log");
	assert_true(strlen(text) < 8192 + 200);
}

static void *log_much(void *arg)
{
	for (unsigned i = 0; i < LINES; i++) {
		log_access("/127.0.0.1:1", SLICE("POST"), SLICE("/predictions/m"), 1, 200, i,
			   &about);
		if (i % 16 == 0)
			log_line(LOG_SERVER, LOG_INFO, arg, "test", "line %u", i);
		if (i % 500 == 0) {
			log_reopen();
			log_flush();
		}
	}
	return NULL;
}

static void test_many_threads_lose_nothing(void **state)
{
	struct place *p = *state;
	static char names[THREADS][3] = { "t0", "t1", "t2", "t3" };
	_cleanup_(freep) char *text = NULL;
	pthread_t threads[THREADS];
	unsigned lines = 0;

	assert_int_equal(log_start(&p->c), 0);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, log_much, names[i]), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	log_stop();
	assert_int_equal(log_dropped(), 0);
	text = read_log(p, "access_log.log");
	for (char *at = text; (at = strchr(at, '\n')); at++)
		lines++;
	assert_int_equal(lines, THREADS * LINES);
}

/* The console is a pipe that nobody reads; then its reader goes away. */
static void test_silent_console_costs_lines_only_there(void **state)
{
	struct place *p = *state;
	_cleanup_(freep) char *big = mem_alloc(10000), *text = NULL;
	int fds[2];

	memset(big, 'x', 10000);
	assert_int_equal(pipe(fds), 0);
	fflush(stdout);
	p->saved_fd = dup(STDOUT_FILENO);
	dup2(fds[1], STDOUT_FILENO);
	close(fds[1]);
	p->c.console = true;
	log_start(&p->c);
	for (unsigned i = 0; i < 100; i++)
		log_text(LOG_MODEL, LOG_INFO, "t", "MODEL_LOG", slice_make(big, 10000));
	log_flush();
	close(fds[0]);
	log_info("the end");
	log_flush();
	restore(p, STDOUT_FILENO);
	assert_true(log_dropped() > 0);
	log_info("really");
	log_stop();
	text = read_log(p, "ts_log.log");
	assert_non_null(strstr(text, "[WARN ] main sconce.log - "));
	assert_non_null(strstr(text, " log lines were lost (Resource temporarily unavailable)\n"));
	assert_non_null(strstr(text, "the end\n"));
	assert_non_null(strstr(text, "really\n"));
	free(TAKE(text));
	text = read_log(p, "model_log.log");
	assert_true(strlen(text) > 100 * 10000);
}

static void test_more_than_the_buffer_is_counted(void **state)
{
	struct place *p = *state;
	_cleanup_(freep) char *big = mem_alloc(16000);
	_cleanup_(freep) char *path = mem_printf("%s/model_log.log", p->logs);
	int fd;

	/* The model log is a pipe that we do not read, so the writer is held up once. */
	memset(big, 'x', 16000);
	file_make_dirs(p->logs, 0700);
	assert_int_equal(mkfifo(path, 0600), 0);
	fd = open(path, O_RDONLY | O_NONBLOCK);
	assert_true(fd >= 0);
	assert_int_equal(log_start(&p->c), 0);
	for (unsigned i = 0; i < 1000; i++)
		log_text(LOG_MODEL, LOG_INFO, "t", "MODEL_LOG", slice_make(big, 16000));
	log_stop();
	assert_true(log_dropped() > 0);
	close(fd);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_files_and_layouts),
		TEST(test_console_has_everything_in_full),
		TEST(test_access_can_be_off),
		TEST(test_unwritable_folder_leaves_the_console),
		TEST(test_stderr_before_start_and_after_stop),
		TEST(test_long_texts_are_cut),
		TEST(test_many_threads_lose_nothing),
		TEST(test_silent_console_costs_lines_only_there),
		TEST(test_more_than_the_buffer_is_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
