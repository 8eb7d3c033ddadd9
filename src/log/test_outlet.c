/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "log/outlet.h"

struct place {
	char folder[32];
	struct outlet o;
};

static int setup(void **state)
{
	struct place *p = mem_new(struct place);

	memcpy(p->folder, "/tmp/test_outlet.XXXXXX", 24);
	*state = p;
	return mkdtemp(p->folder) ? 0 : -1;
}

static int teardown(void **state)
{
	struct place *p = *state;

	file_remove_tree(p->folder);
	free(p);
	return 0;
}

static void put(struct outlet *o, const char *line)
{
	outlet_put(o, slice_str(line), SLICE("\n"));
}

static void expect_file(const struct place *p, const char *name, const char *want)
{
	_cleanup_(buf_finish) struct buf b = BUF_INIT(1 << 20);
	_cleanup_(freep) char *path = mem_printf("%s/%s", p->folder, name);

	if (!want) {
		assert_int_equal(access(path, F_OK), -1);
		return;
	}
	assert_int_equal(file_read(path, &b), 0);
	assert_string_equal(buf_cstr(&b), want);
}

static void test_rotation_keeps_the_last(void **state)
{
	struct place *p = *state;

	outlet_init_file(&p->o, mem_printf("%s/log", p->folder), 10, 2);
	expect_file(p, "log", NULL);
	for (unsigned i = 0; i < 8; i++) {
		char line[] = { (char)('a' + i), 'x', 'y', 'z', 0 };

		put(&p->o, line);
	}
	outlet_finish(&p->o);
	expect_file(p, "log", "gxyz\nhxyz\n");
	expect_file(p, "log.1", "exyz\nfxyz\n");
	expect_file(p, "log.2", "cxyz\ndxyz\n");
	expect_file(p, "log.3", NULL);

	/* The size of what is there counts; a line longer than a file is written all the same. */
	outlet_init_file(&p->o, mem_printf("%s/log", p->folder), 10, 0);
	put(&p->o, "0123456789abcdef");
	outlet_finish(&p->o);
	expect_file(p, "log", "0123456789abcdef\n");
	expect_file(p, "log.1", "exyz\nfxyz\n");
}

static void test_a_line_longer_than_the_stage(void **state)
{
	struct place *p = *state;
	_cleanup_(freep) char *big = mem_zalloc(3 * OUTLET_STAGE + 1);
	_cleanup_(freep) char *want = NULL;

	memset(big, 'x', 3 * OUTLET_STAGE);
	want = mem_printf("one\n%s\ntwo\n", big);
	outlet_init_file(&p->o, mem_printf("%s/log", p->folder), 0, 0);
	put(&p->o, "one");
	put(&p->o, big);
	put(&p->o, "two");
	outlet_finish(&p->o);
	expect_file(p, "log", want);
	outlet_init_file(&p->o, mem_strdup("/dev/full"), 0, 0);
	put(&p->o, big);
	assert_int_equal(p->o.lost, 1);
	outlet_finish(&p->o);
}

static void test_reopen_follows_the_name(void **state)
{
	struct place *p = *state;
	_cleanup_(freep) char *path = mem_printf("%s/log", p->folder);
	_cleanup_(freep) char *moved = mem_printf("%s/moved", p->folder);

	outlet_init_file(&p->o, mem_strdup(path), 0, 0);
	put(&p->o, "one");
	outlet_flush(&p->o);
	assert_int_equal(rename(path, moved), 0);
	put(&p->o, "two");
	outlet_reopen(&p->o);
	put(&p->o, "three");
	outlet_finish(&p->o);
	expect_file(p, "moved", "one\ntwo\n");
	expect_file(p, "log", "three\n");
}

static void test_a_file_that_cannot_be_opened_is_tried_again(void **state)
{
	struct place *p = *state;
	_cleanup_(freep) char *folder = mem_printf("%s/later", p->folder);

	outlet_init_file(&p->o, mem_printf("%s/log", folder), 0, 0);
	put(&p->o, "one");
	put(&p->o, "two");
	outlet_flush(&p->o);
	assert_int_equal(p->o.lost, 2);
	assert_int_equal(p->o.error, -ENOENT);
	assert_int_equal(mkdir(folder, 0700), 0);
	put(&p->o, "three");
	outlet_finish(&p->o);
	expect_file(p, "later/log", "three\n");
}

static void test_full_disk_is_counted(void **state)
{
	struct place *p = *state;

	outlet_init_file(&p->o, mem_strdup("/dev/full"), 100, 1);
	put(&p->o, "one");
	outlet_flush(&p->o);
	assert_int_equal(p->o.lost, 1);
	assert_int_equal(p->o.error, -ENOSPC);
	outlet_finish(&p->o);
}

static size_t drain(int fd, char *last)
{
	char bytes[4096];
	size_t total = 0;
	ssize_t n;

	while ((n = read(fd, bytes, sizeof(bytes))) > 0) {
		total += (size_t)n;
		*last = bytes[n - 1];
	}
	return total;
}

/* Fills the console, sees lines counted, empties it, and sees lines arrive whole again. */
static void check_stall(int in, int out)
{
	struct outlet o;
	char line[1024], got[16] = { 0 }, last = 0;
	size_t bytes = 0;

	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = 0;
	outlet_init_console(&o, out);
	assert_int_equal(fcntl(out, F_GETFL) & O_NONBLOCK, 0);
	while (!o.lost) {
		put(&o, line);
		outlet_flush(&o);
		bytes += sizeof(line);
		assert_true(bytes < (size_t)8 << 20);
	}
	assert_true(o.stalled);
	assert_int_equal(o.error, -EAGAIN);
	fcntl(in, F_SETFL, O_NONBLOCK);
	drain(in, &last);
	put(&o, "alive");
	outlet_finish(&o);
	/* If the last line was cut, a newline comes first. */
	assert_int_equal(read(in, got, sizeof(got)), last == '\n' ? 6 : 7);
	assert_string_equal(got + (last != '\n'), "alive\n");
	assert_true(fcntl(out, F_GETFD) >= 0);
}

static void test_full_console_is_not_waited_for(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	check_stall(fds[0], fds[1]);
	close(fds[0]);
	close(fds[1]);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	check_stall(fds[0], fds[1]);
	close(fds[0]);
	close(fds[1]);
}

static void test_dead_console_is_left_alone(void **state)
{
	struct outlet o;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	outlet_init_console(&o, fds[1]);
	close(fds[0]);
	put(&o, "one");
	outlet_flush(&o);
	assert_int_equal(o.fd, -1);
	assert_int_equal(o.lost, 1);
	put(&o, "two");
	outlet_finish(&o);
	close(fds[1]);
	outlet_init_console(&o, fds[1]);
	assert_int_equal(o.fd, -1);
	outlet_finish(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_rotation_keeps_the_last, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_line_longer_than_the_stage, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reopen_follows_the_name, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_file_that_cannot_be_opened_is_tried_again,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_full_disk_is_counted, setup, teardown),
		cmocka_unit_test(test_full_console_is_not_waited_for),
		cmocka_unit_test(test_dead_console_is_left_alone),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
