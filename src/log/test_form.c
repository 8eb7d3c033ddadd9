/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "log/form.h"

#define PATIENCE_MS 20000
#define HOUR_MS (3600 * 1000)
#define DATE "2026-11-24T12:00:00,123"

struct place {
	char folder[32];
	struct log_config c;
};

static int setup(void **state)
{
	struct place *p = mem_new(struct place);

	memcpy(p->folder, "/tmp/test_form.XXXXXX", 22);
	*state = p;
	p->c = (struct log_config){ .location = p->folder, .level = LOG_INFO };
	return mkdtemp(p->folder) ? 0 : -1;
}

static int teardown(void **state)
{
	struct place *p = *state;

	log_stop();
	file_remove_tree(p->folder);
	free(p);
	return 0;
}

static char *read_log(const struct place *p, const char *name)
{
	_cleanup_(freep) char *path = mem_printf("%s/%s", p->folder, name);
	struct buf b = BUF_INIT(64 << 20);

	assert_int_equal(file_read(path, &b), 0);
	return buf_steal(&b);
}

static struct log_form *gauge(const char *tail)
{
	return log_form_create(LOG_MODEL_METRICS, "MODEL_METRICS", SLICE("A.ms:"), slice_str(tail));
}

/* Everything behind the date, without the timestamp's digits at its end. */
static void expect_line(char **at, const char *want)
{
	char *end = strchr(*at, '\n'), *stamp;

	assert_non_null(end);
	*end = '\0';
	stamp = strstr(*at, ",timestamp:");
	assert_non_null(stamp);
	assert_true(strtoull(stamp + 11, NULL, 10) > 1700000000);
	*stamp = '\0';
	assert_string_equal(*at + strlen(DATE), want);
	*at = end + 1;
}

static void values_become_the_lines_of_their_forms(void **state)
{
	struct place *p = *state;
	struct log_form *count = log_form_create(LOG_SERVER_METRICS, "TS_METRICS",
						 SLICE("N.Count:"),
						 SLICE("|#Level:Ho\nst|#hostname:h"));
	struct log_form *time = gauge("|#M:\xff|#hostname:h");
	const struct log_value both[] = { { count, 1 }, { time, 0.25 }, { count, 1e7 } };
	_cleanup_(freep) char *server = NULL, *model = NULL;
	char *at;

	assert_int_equal(log_start(&p->c), 0);
	log_values("W-9000-m_1.0", both, 3, SLICE_NULL);
	log_values(NULL, &both[1], 1, SLICE("id-1,id\n2"));
	log_value_once(LOG_MODEL_METRICS, "MODEL_METRICS", SLICE("A.ms:"),
		       SLICE("|#M:\xff|#hostname:h"), NULL, 0.25, SLICE("id-1,id\n2"));
	log_stop();
	at = server = read_log(p, "ts_metrics.log");
	expect_line(&at, " - N.Count:1.0|#Level:Ho\\nst|#hostname:h");
	expect_line(&at, " - N.Count:1.0E7|#Level:Ho\\nst|#hostname:h");
	assert_string_equal(at, "");
	at = model = read_log(p, "model_metrics.log");
	expect_line(&at, " - A.ms:0.25|#M:\xef\xbf\xbd|#hostname:h");
	for (int i = 0; i < 2; i++)
		expect_line(&at, " - A.ms:0.25|#M:\xef\xbf\xbd|#hostname:h,requestID:id-1,id\\n2");
	assert_string_equal(at, "");
	log_form_destroy(count);
	log_form_destroy(time);
}

static void a_form_lives_until_its_last_line_is_written(void **state)
{
	struct place *p = *state;
	_cleanup_(freep) char *text = NULL;
	char *at;

	assert_int_equal(log_start(&p->c), 0);
	for (int i = 0; i < 1000; i++) {
		struct log_form *f = gauge("|#M:m|#hostname:h");

		log_values("t", &(struct log_value){ f, i }, 1, SLICE_NULL);
		log_form_destroy(f);
	}
	log_stop();
	at = text = read_log(p, "model_metrics.log");
	for (int i = 0; i < 1000; i++) {
		char want[64];

		snprintf(want, sizeof(want), " - A.ms:%d.0|#M:m|#hostname:h", i);
		expect_line(&at, want);
	}
	assert_null(log_form_destroy(NULL));
}

/* More than is expanded at a time, and more than the buffer holds when nobody flushes. */
static void all_of_many_are_written_in_order(void **state)
{
	struct place *p = *state;
	struct log_form *f = gauge("|#M:m|#hostname:h");
	_cleanup_(freep) char *text = NULL;
	struct slice rest;

	assert_int_equal(log_start(&p->c), 0);
	for (int i = 0; i < 40000; i += 2) {
		const struct log_value v[] = { { f, i }, { f, i + 1 } };

		log_values("t", v, 2, SLICE_NULL);
		if (i % 8000 == 0)
			log_flush();
	}
	log_stop();
	log_form_destroy(f);
	assert_int_equal(log_dropped(), 0);
	text = read_log(p, "model_metrics.log");
	rest = slice_str(text);
	for (int i = 0; i < 40000; i++) {
		struct slice line = slice_cut(&rest, '\n');
		const char *value = memmem(line.p, line.n, "A.ms:", 5);

		assert_non_null(value);
		assert_int_equal(strtol(value + 5, NULL, 10), i);
	}
	assert_int_equal(rest.n, 0);
}

static bool readable(int fd, int wait_ms)
{
	struct pollfd f = { .fd = fd, .events = POLLIN };
	char drain[4096];

	if (poll(&f, 1, wait_ms) != 1)
		return false;
	while (read(fd, drain, sizeof(drain)) > 0)
		;
	return true;
}

/* With an hour to gather, what arrives has arrived because it was committed. */
static void what_is_committed_is_written_at_once(void **state)
{
	struct place *p = *state;
	_cleanup_(freep) char *path = mem_printf("%s/model_metrics.log", p->folder);
	struct log_form *f = gauge("|#M:m|#hostname:h");
	int fd;

	assert_int_equal(mkfifo(path, 0600), 0);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_true(fd >= 0);
	p->c.gather_ms = HOUR_MS;
	assert_int_equal(log_start(&p->c), 0);
	log_commit();
	for (int i = 0; i < 32; i++) {
		log_values("t", &(struct log_value){ f, i }, 1, SLICE_NULL);
		log_commit();
		assert_true(readable(fd, PATIENCE_MS));
	}
	/* So much at a stretch is a busy server's: what comes now is gathered. */
	for (int i = 0; i < 3; i++) {
		log_values("t", &(struct log_value){ f, i }, 1, SLICE_NULL);
		log_commit();
	}
	log_flush();
	assert_true(readable(fd, 0));
	log_form_destroy(f);
	close(fd);
}

static void without_a_log_they_go_to_stderr(void **state)
{
	struct place *p = *state;
	_cleanup_(freep) char *path = mem_printf("%s/stderr", p->folder);
	struct log_form *f = gauge("|#M:m|#hostname:h");
	int saved = dup(STDERR_FILENO), to = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	_cleanup_(freep) char *text = NULL;

	dup2(to, STDERR_FILENO);
	log_values(NULL, &(struct log_value){ f, 2 }, 1, SLICE_NULL);
	dup2(saved, STDERR_FILENO);
	close(to);
	close(saved);
	log_form_destroy(f);
	text = read_log(p, "stderr");
	assert_non_null(strstr(text, " [INFO ] main MODEL_METRICS - A.ms:2.0|#M:m|#hostname:h,"));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(values_become_the_lines_of_their_forms),
		TEST(a_form_lives_until_its_last_line_is_written),
		TEST(all_of_many_are_written_in_order),
		TEST(what_is_committed_is_written_at_once),
		TEST(without_a_log_they_go_to_stderr),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
