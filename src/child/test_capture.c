/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "child/capture.h"

static int run(const char *script, unsigned limit_ms, struct buf *out)
{
	const char *const arguments[] = { "-c", script, NULL };

	return capture_run("/bin/sh", arguments, limit_ms, out);
}

static void output_is_kept(void **state)
{
	_cleanup_(buf_finish) struct buf out = BUF_INIT(65536);

	(void)state;
	assert_int_equal(run("echo one; echo two >&2; cat; echo three", 60000, &out), 0);
	assert_string_equal(buf_cstr(&out), "one\nthree\n");
}

static void it_has_none_of_our_descriptors(void **state)
{
	_cleanup_(buf_finish) struct buf out = BUF_INIT(65536);
	int fd = fcntl(STDERR_FILENO, F_DUPFD, 57);
	char script[64];

	(void)state;
	assert_true(fd >= 57);
	snprintf(script, sizeof(script), "! test -e /proc/$$/fd/%d", fd);
	assert_int_equal(run(script, 60000, &out), 0);
	close(fd);
}

static void how_it_ended_is_told(void **state)
{
	_cleanup_(buf_finish) struct buf out = BUF_INIT(65536);
	const char *const none[] = { NULL };

	(void)state;
	assert_int_equal(run("exit 3", 60000, &out), -EIO);
	assert_int_equal(run("kill -9 $$", 60000, &out), -EIO);
	assert_int_equal(capture_run("/nowhere", none, 60000, &out), -ENOENT);
}

static void it_may_not_take_for_ever(void **state)
{
	_cleanup_(buf_finish) struct buf out = BUF_INIT(65536);

	(void)state;
	assert_int_equal(run("sleep 1000 & sleep 1000", 50, &out), -ETIMEDOUT);
	assert_int_equal(run("exec >&-; sleep 1000", 50, &out), -ETIMEDOUT);
	assert_int_equal(run("yes", 60000, &out), -ENOBUFS);
}

static void executables_are_found(void **state)
{
	_cleanup_(freep) char *sh = capture_find(SLICE("sh"));

	(void)state;
	assert_non_null(sh);
	assert_string_equal(strrchr(sh, '/'), "/sh");
	assert_null(capture_find(SLICE("no-such-command-anywhere")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(output_is_kept),
		cmocka_unit_test(it_has_none_of_our_descriptors),
		cmocka_unit_test(how_it_ended_is_told),
		cmocka_unit_test(it_may_not_take_for_ever),
		cmocka_unit_test(executables_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
