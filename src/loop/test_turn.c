/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/turn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/util.h"
#include "log/log.h"

static void time_goes_to_the_callback_that_took_it(void **state)
{
	struct turn t = { 0 };

	(void)state;
	assert_int_equal(turn_leave(&t, 5), 0); /* nothing was called: no turn */
	turn_enter(&t, "first", 10);
	turn_enter(&t, "second", 12);
	turn_enter(&t, "third", 40);
	assert_int_equal(turn_leave(&t, 45), 35);
	assert_string_equal(t.longest, "second");
	assert_int_equal(t.longest_ns, 28);

	turn_enter(&t, "only", 1000); /* polling is in between, and is nobody's */
	assert_int_equal(turn_leave(&t, 1000), 0);
	assert_string_equal(t.longest, "only");
	assert_int_equal(t.longest_ns, 0);
}

static uint64_t test_now_ns(void)
{
	return 100;
}

static void a_callback_has_one_time(void **state)
{
	static const struct clock_source source = { .now_ns = test_now_ns, .wall_ns = test_now_ns };
	struct turn t = { 0 };
	uv_loop_t loop = { .data = &t };

	(void)state;
	clock_source = &source;
	assert_int_equal(turn_now_ns(&loop), 100); /* outside of callbacks: now */
	turn_enter(&t, "first", 10);
	turn_enter(&t, "second", 12);
	assert_int_equal(turn_now_ns(&loop), 12);
	turn_leave(&t, 20);
	assert_int_equal(turn_now_ns(&loop), 100);
	loop.data = NULL; /* nothing is measured */
	assert_int_equal(turn_now_ns(&loop), 100);
	clock_source = NULL;
}

struct seen {
	unsigned turns;
	uint64_t longest_ns;
};

static void seen_turn(void *arg, uint64_t took_ns)
{
	struct seen *s = arg;

	s->turns++;
	s->longest_ns = MAX(s->longest_ns, took_ns);
}

/* Holds the loop until the clock says so, using the CPU: others' use of it does not count. */
static void hog(uv_timer_t *h)
{
	uint64_t until = clock_now_ns() + *(const uint64_t *)h->data;

	TURN(h);
	while (clock_now_ns() < until)
		;
}

static void run_hog(uint64_t hold_ns, uint64_t warn_ns, struct seen *seen)
{
	uv_loop_t loop;
	uv_timer_t timer;
	struct turn t;

	uv_loop_init(&loop);
	turn_init(&t, &loop, warn_ns, seen_turn, seen);
	uv_timer_init(&loop, &timer);
	timer.data = &hold_ns;
	uv_timer_start(&timer, hog, 0, 0);
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_close((uv_handle_t *)&timer, NULL);
	turn_finish(&t);
	assert_null(loop.data);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
}

static void a_long_turn_is_told_with_the_name_of_its_callback(void **state)
{
	char dir[] = "/tmp/test-turn-XXXXXX";
	struct buf text = BUF_INIT(65536);
	struct seen seen = { 0 }, quick = { 0 };

	(void)state;
	assert_non_null(mkdtemp(dir));
	_cleanup_(freep) char *path = mem_printf("%s/ts_log.log", dir);

	assert_int_equal(log_start(&(struct log_config){ .location = dir, .level = LOG_INFO }), 0);
	run_hog(0, NS_PER_S * 3600, &quick);
	log_flush();
	assert_int_equal(file_read(path, &text), 0);
	assert_null(strstr(buf_cstr(&text), "sconce.loop"));
	/* Nothing of its time is held to be others' fault, unless it was: a limit of nothing. */
	run_hog(NS_PER_MS, 0, &seen);
	log_stop();
	assert_int_equal(file_read(path, &text), 0);
	assert_non_null(strstr(buf_cstr(&text), "sconce.loop - The loop did not poll for "));
	assert_non_null(strstr(buf_cstr(&text), " ms of them in hog; "));
	assert_int_equal(seen.turns, 1);
	assert_true(seen.longest_ns >= NS_PER_MS);
	buf_finish(&text);
	assert_int_equal(file_remove_tree(dir), 0);
}

static uint64_t later_ns;

static uint64_t test_later_ns(void)
{
	return later_ns;
}

/* A turn of 100 ms, 80 of which the kernel says that the thread has waited for a CPU. */
static void wait_long(uv_timer_t *h)
{
	static const char said[] = "0 80000000 1\n";
	const struct turn *t = h->loop->data;

	TURN(h);
	later_ns += 100 * NS_PER_MS;
	assert_int_equal(pwrite(t->schedstat, said, sizeof(said), 0), sizeof(said));
}

static void what_was_waited_for_a_cpu_is_nobodys_fault(void **state)
{
	static const struct clock_source source = { .now_ns = test_later_ns,
						    .wall_ns = test_later_ns };
	struct seen seen = { 0 };
	uv_timer_t timer;
	uv_loop_t loop;
	struct turn t;

	(void)state;
	later_ns = NS_PER_S;
	clock_source = &source;
	uv_loop_init(&loop);
	turn_init(&t, &loop, 50 * NS_PER_MS, seen_turn, &seen);
	close(t.schedstat);
	t.schedstat = memfd_create("schedstat", MFD_CLOEXEC);
	t.waited_ns = 0;
	uv_timer_init(&loop, &timer);
	uv_timer_start(&timer, wait_long, 0, 0);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(seen.longest_ns, 100 * NS_PER_MS);
	assert_int_equal(t.warned_ns, 0);
	uv_close((uv_handle_t *)&timer, NULL);
	turn_finish(&t);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	clock_source = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(time_goes_to_the_callback_that_took_it),
		cmocka_unit_test(a_callback_has_one_time),
		cmocka_unit_test(a_long_turn_is_told_with_the_name_of_its_callback),
		cmocka_unit_test(what_was_waited_for_a_cpu_is_nobodys_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
