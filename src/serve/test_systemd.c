/* SPDX-License-Identifier: Apache-2.0 */

/* What systemd puts into the environment, well and badly made; and what it hears. */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/util.h"
#include "serve/systemd.h"

#define FIRST 3

static void set_us(const char *variable)
{
	char pid[32];

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv(variable, pid, 1);
}

/* Descriptors as systemd leaves them, and what was there before. */
static int kept[SYSTEMD_SOCKETS_MAX];

static void put_sockets(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		kept[i] = fcntl(FIRST + (int)i, F_DUPFD_CLOEXEC, 100);
		assert_return_code(dup2(STDIN_FILENO, FIRST + (int)i), 0);
	}
}

static void put_back(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (kept[i] < 0)
			continue;
		dup2(kept[i], FIRST + (int)i);
		close(kept[i]);
	}
}

static void without_systemd(void **state)
{
	struct buf why = BUF_INIT(1024);
	struct systemd s;

	(void)state;
	assert_int_equal(systemd_init(&s, &why), 0);
	assert_int_equal(systemd_take_socket(&s, "inference"), -1);
	assert_null(systemd_stray_socket(&s));
	systemd_tell(&s, "READY=1");
	systemd_watch(&s, uv_default_loop());
	assert_null(s.watchdog);
	systemd_finish(&s);
	buf_finish(&why);
}

static void sockets_by_name(void **state)
{
	struct buf why = BUF_INIT(1024);
	struct systemd s;

	(void)state;
	put_sockets(2);
	set_us("LISTEN_PID");
	setenv("LISTEN_FDS", "2", 1);
	setenv("LISTEN_FDNAMES", "metrics:inference", 1);
	assert_int_equal(systemd_init(&s, &why), 0);
	assert_null(getenv("LISTEN_FDS"));
	assert_null(getenv("LISTEN_PID"));
	assert_true(systemd_has_socket(&s, "inference"));
	assert_int_equal(systemd_take_socket(&s, "inference"), FIRST + 1);
	assert_int_equal(systemd_take_socket(&s, "inference"), -1);
	assert_true(fcntl(FIRST, F_GETFD) & FD_CLOEXEC);
	assert_string_equal(systemd_stray_socket(&s), "metrics");
	systemd_finish(&s);
	assert_int_equal(fcntl(FIRST, F_GETFD), -1);
	put_back(2);
	buf_finish(&why);
}

/* A shell that a service started is no service. */
static void sockets_of_another_process(void **state)
{
	struct buf why = BUF_INIT(1024);
	struct systemd s;

	(void)state;
	setenv("LISTEN_PID", "1", 1);
	setenv("LISTEN_FDS", "2", 1);
	assert_int_equal(systemd_init(&s, &why), 0);
	assert_int_equal(s.n_sockets, 0);
	systemd_finish(&s);
	buf_finish(&why);
}

static void what_systemd_does_not_say(void **state)
{
	static const struct {
		const char *fds, *notify, *why;
	} all[] = {
		{ "two", NULL, "'two' is no number of sockets" },
		{ "-1", NULL, "'-1' is no number of sockets" },
		{ "99", NULL, "hands over 99 sockets, more than 8" },
		{ "18446744073709551616", NULL, "is no number of sockets" },
		{ "0", "relative", "'relative' is no place of a Unix socket" },
		{ "0", "vsock:2:1", "is no place of a Unix socket" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		struct buf why = BUF_INIT(1024);
		struct systemd s;

		set_us("LISTEN_PID");
		setenv("LISTEN_FDS", all[i].fds, 1);
		if (all[i].notify)
			setenv("NOTIFY_SOCKET", all[i].notify, 1);
		assert_true(systemd_init(&s, &why) < 0);
		assert_non_null(strstr(buf_cstr(&why), all[i].why));
		systemd_finish(&s);
		buf_finish(&why);
	}
}

static void heard(int fd, const char *wanted)
{
	char text[256] = "";

	assert_true(recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT) > 0);
	assert_string_equal(text, wanted);
}

/* In the kernel's own space of names, so that no file is left. */
static int listen_for_it(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), n;
	char name[64];

	n = snprintf(name, sizeof(name), "@sconce-test-%d", (int)getpid());
	memcpy(a.sun_path + 1, name + 1, (size_t)n - 1);
	assert_return_code(bind(fd, (struct sockaddr *)&a,
				(socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)n)),
			   0);
	setenv("NOTIFY_SOCKET", name, 1);
	return fd;
}

static void signs_of_life(void **state)
{
	struct buf why = BUF_INIT(1024);
	int fd = listen_for_it();
	struct systemd s;
	uv_loop_t loop;

	(void)state;
	uv_loop_init(&loop);
	loop.data = NULL; /* nobody measures its turns */
	setenv("WATCHDOG_USEC", "3000000", 1);
	set_us("WATCHDOG_PID");
	assert_int_equal(systemd_init(&s, &why), 0);
	assert_int_equal(s.watchdog_ms, 3000);
	systemd_tell(&s, "READY=1\nSTATUS=%s", "here");
	heard(fd, "READY=1\nSTATUS=here");
	systemd_watch(&s, &loop);
	uv_ref((uv_handle_t *)s.watchdog);
	uv_run(&loop, UV_RUN_ONCE);
	heard(fd, "WATCHDOG=1");
	uv_close((uv_handle_t *)s.watchdog, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
	close(fd);
	systemd_tell(&s, "STOPPING=1"); /* nobody is there any more */
	systemd_finish(&s);
	buf_finish(&why);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_systemd),
		cmocka_unit_test(sockets_by_name),
		cmocka_unit_test(sockets_of_another_process),
		cmocka_unit_test(what_systemd_does_not_say),
		cmocka_unit_test(signs_of_life),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
