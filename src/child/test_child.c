/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/util.h"
#include "child/child.h"

extern char **environ;

struct seen {
	struct child child;
	int status;
	bool ended;
	uv_loop_t *loop;
};

static void ended(struct child *c, int status)
{
	struct seen *s = container_of(c, struct seen, child);

	s->status = status;
	s->ended = true;
	uv_stop(s->loop);
}

static void run(struct children *cs, struct seen *s, const char *script)
{
	char *argv[] = { (char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c",
			 (char *)(uintptr_t)script, NULL };
	struct spawn spawn = {
		.file = "/bin/sh", .argv = argv, .environment = environ, .fds = { -1, -1, -1, -1 }
	};

	*s = (struct seen){ .loop = cs->sigchld.loop };
	assert_int_equal(child_spawn(cs, &s->child, &spawn, ended), 0);
	assert_true(s->child.pid > 0);
}

/* uv_ref: the signal watcher alone does not keep the loop running. */
static void turn(struct children *cs)
{
	uv_ref((uv_handle_t *)&cs->sigchld);
	uv_run(cs->sigchld.loop, UV_RUN_DEFAULT);
	uv_unref((uv_handle_t *)&cs->sigchld);
}

static void reports_exit_codes_and_signals(void **state)
{
	struct children *cs = *state;
	struct seen s;
	char how[96];

	run(cs, &s, "exit 3");
	turn(cs);
	assert_true(s.ended);
	child_describe(s.status, how, sizeof(how));
	assert_string_equal(how, "exited with code 3");
	run(cs, &s, "kill -9 $$");
	turn(cs);
	assert_true(WIFSIGNALED(s.status));
	child_describe(s.status, how, sizeof(how));
	assert_string_equal(how, "was killed by signal 9 (Killed)");
}

static void says_127_for_a_missing_program(void **state)
{
	struct children *cs = *state;
	struct seen s = { .loop = cs->sigchld.loop };
	char *argv[] = { (char *)(uintptr_t) "none", NULL };
	struct spawn spawn = { .file = "/nonexistent",
			       .argv = argv,
			       .environment = environ,
			       .fds = { -1, -1, -1, -1 } };

	assert_int_equal(child_spawn(cs, &s.child, &spawn, ended), 0);
	turn(cs);
	assert_int_equal(WEXITSTATUS(s.status), 127);
}

/* Also of those without CLOEXEC, as libraries have them. */
static void has_none_of_our_descriptors(void **state)
{
	struct children *cs = *state;
	int fd = fcntl(STDERR_FILENO, F_DUPFD, 57);
	char script[64];
	struct seen s;

	assert_true(fd >= 57);
	snprintf(script, sizeof(script), "test -e /proc/$$/fd/3 && ! test -e /proc/$$/fd/%d", fd);
	run(cs, &s, script);
	turn(cs);
	assert_int_equal(s.status, 0);
	close(fd);
}

static void kills_the_whole_group(void **state)
{
	struct children *cs = *state;
	struct seen s;

	run(cs, &s, "sleep 1000 & wait");
	child_kill(&s.child, SIGKILL);
	turn(cs);
	assert_true(s.ended && WIFSIGNALED(s.status));
}

static void adopts_a_process_that_has_already_ended(void **state)
{
	struct children *cs = *state;
	struct seen other, s = { .loop = cs->sigchld.loop };
	pid_t pid = fork();

	if (pid == 0)
		_exit(7);
	/* Wait for another child, so that the first one's end has certainly been seen. */
	waitid(P_PID, (id_t)pid, &(siginfo_t){ 0 }, WEXITED | WNOWAIT);
	run(cs, &other, "exit 0");
	turn(cs);
	child_adopt(cs, &s.child, pid, ended);
	turn(cs);
	assert_true(s.ended);
	assert_int_equal(WEXITSTATUS(s.status), 7);
}

/* Handlers may leave any number of processes behind, whose ends come to us. */
static void adopts_one_whose_end_was_seen_long_ago(void **state)
{
	struct children *cs = *state;
	struct seen other, s = { .loop = cs->sigchld.loop };
	pid_t pids[CHILDREN_STRAYS + 8];

	for (size_t i = 0; i < ARRAY_LEN(pids); i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			_exit(0);
		waitid(P_PID, (id_t)pids[i], &(siginfo_t){ 0 }, WEXITED | WNOWAIT);
	}
	run(cs, &other, "exit 0");
	turn(cs);
	child_adopt(cs, &s.child, pids[0], ended);
	turn(cs);
	assert_true(s.ended);
	assert_int_equal(s.status, CHILD_STATUS_UNKNOWN);
}

static void ends_belong_to_one_process_not_to_its_number(void **state)
{
	struct children *cs = *state;
	struct seen s = { .loop = cs->sigchld.loop };
	pid_t pid = fork();

	if (pid == 0) {
		setsid();
		pause();
		_exit(0);
	}
	/* Somebody had this number before, and was abandoned. */
	cs->strays[0].pid = pid;
	cs->strays[0].status = 0;
	child_adopt(cs, &s.child, pid, ended);
	child_kill(&s.child, SIGKILL);
	turn(cs);
	assert_true(s.ended && WIFSIGNALED(s.status));
}

static int set_up(void **state)
{
	static struct children cs;

	*state = &cs;
	return children_init(&cs, uv_default_loop());
}

static int tear_down(void **state)
{
	children_finish(*state);
	uv_run(uv_default_loop(), UV_RUN_DEFAULT);
	return uv_loop_close(uv_default_loop());
}

static void terminated(uv_signal_t *h, int signal)
{
	(void)signal;
	++*(unsigned *)h->data;
}

/* It is for the child, however early it comes. */
static void a_signal_to_a_child_is_none_to_us(void **state)
{
	struct children *cs = *state;
	unsigned heard = 0;
	uv_signal_t term = { .data = &heard };
	struct seen s;

	uv_signal_init(cs->sigchld.loop, &term);
	uv_signal_start(&term, terminated, SIGTERM);
	for (unsigned i = 0; i < 100; i++) {
		run(cs, &s, "sleep 60");
		child_kill(&s.child, SIGTERM);
		turn(cs);
		assert_true(s.ended && WIFSIGNALED(s.status));
		assert_int_equal(WTERMSIG(s.status), SIGTERM);
	}
	assert_int_equal(heard, 0);
	uv_close((uv_handle_t *)&term, NULL);
	uv_run(cs->sigchld.loop, UV_RUN_NOWAIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reports_exit_codes_and_signals),
		cmocka_unit_test(says_127_for_a_missing_program),
		cmocka_unit_test(has_none_of_our_descriptors),
		cmocka_unit_test(kills_the_whole_group),
		cmocka_unit_test(a_signal_to_a_child_is_none_to_us),
		cmocka_unit_test(adopts_a_process_that_has_already_ended),
		cmocka_unit_test(adopts_one_whose_end_was_seen_long_ago),
		cmocka_unit_test(ends_belong_to_one_process_not_to_its_number),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
