/* SPDX-License-Identifier: Apache-2.0 */

/* What a connection does ahead: requests that are read before their turn, and answers that nobody
 * takes. */

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "net/conn_rig.h"

static void sends_times(struct world *w, unsigned times, const char *text)
{
	for (unsigned i = 0; i < times; i++)
		sends_only(w, text);
}

/* Who does not take its answers is answered no further: what waits for it is one answer. */
static void test_untaken_answers_do_not_pile_up(void **state)
{
	struct world *w = world_new(0);

	(void)state;
	sends_times(w, 40, "GET /big HTTP/1.1\r\nHost: h\r\n\r\n");
	for (unsigned i = 0; i < 10; i++)
		uv_run(&w->loop, UV_RUN_NOWAIT);
	assert_in_range(w->heads, 2, 39);
	assert_int_equal(w->heads - w->done, 1);
	assert_true(turns(w));
	assert_int_equal(w->done, 40);
	assert_true(w->seen.n > 40 * BIG_ANSWER);
	world_end(w);
}

static void test_requests_read_ahead_are_taken_from_the_budget(void **state)
{
	struct world *w = world_new(0);

	(void)state;
	sends(w, "GET /later HTTP/1.1\r\nHost: h\r\n\r\n");
	assert_int_equal(w->budget.used, 0);
	sends(w, "GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n");
	assert_int_equal(w->heads, 3);
	assert_in_range(w->budget.used, 2 * 4096, 2 * 16384);
	answer(w, w->kept, 200, "late");
	assert_true(turns(w));
	assert_int_equal(w->done, 3);
	assert_int_equal(w->budget.used, 0);
	world_end(w);
}

/* Where the budget is used up nothing is read ahead, and nobody loses an answer. */
static void test_nothing_is_read_ahead_without_memory(void **state)
{
	struct world *w = world_new(0);

	(void)state;
	assert_true(budget_take(&w->budget, WORLD_BUDGET));
	sends(w, "GET /later HTTP/1.1\r\nHost: h\r\n\r\nGET /a HTTP/1.1\r\nHost: h\r\n\r\n"
		 "GET /b HTTP/1.1\r\nHost: h\r\n\r\n");
	assert_int_equal(w->heads, 1);
	answer(w, w->kept, 200, "late");
	assert_true(turns(w));
	assert_int_equal(w->heads, 3);
	assert_int_equal(seen(w, "late"), 1);
	assert_int_equal(seen(w, "[/a]"), 1);
	assert_int_equal(seen(w, "[/b]"), 1);
	budget_give(&w->budget, WORLD_BUDGET);
	world_end(w);
}

/* Where there is none for it, it is refused; what was begun before it has its answer. */
static void test_input_that_waits_is_taken_from_the_budget(void **state)
{
	static const char more[] = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
	static char text[40000] = "GET /later HTTP/1.1\r\nHost: h\r\n\r\n";
	struct world *w = world_new(0);

	(void)state;
	for (size_t n = strlen(text), i = 0; i < 1000; i++)
		memcpy(text + n + i * strlen(more), more, strlen(more));
	assert_true(budget_take(&w->budget, WORLD_BUDGET - 20000));
	assert_true(sends(w, text));
	answer(w, w->kept, 200, "first");
	assert_false(turns(w));
	assert_int_equal(seen(w, "first"), 1);
	assert_int_equal(seen(w, "[/a]"), w->heads - 1);
	assert_int_equal(seen(w, "HTTP/1.1 503"), 1);
	budget_give(&w->budget, WORLD_BUDGET - 20000);
	assert_int_equal(w->budget.used, 0);
	close(w->client);
	connect_client(w);
	assert_true(sends(w, text));
	assert_in_range(w->budget.used, 20000, 100000);
	world_end(w);
}

/* Requests that take long, on several connections: a turn does some of them, the next ones go on
 * where it stopped, and none is left out. */
static void test_a_turn_is_not_long(void **state)
{
	static const char four[] = "GET /slow HTTP/1.1\r\nHost: h\r\n\r\n"
				   "GET /slow HTTP/1.1\r\nHost: h\r\n\r\n"
				   "GET /slow HTTP/1.1\r\nHost: h\r\n\r\n"
				   "GET /slow HTTP/1.1\r\nHost: h\r\n\r\n";
	struct world *w = world_new(0);
	int clients[10];

	(void)state;
	clock_source = &test_clock;
	w->time_ns = &time_ns;
	for (unsigned i = 0; i < ARRAY_LEN(clients); i++) {
		if (i)
			connect_client(w);
		clients[i] = w->client;
		sends_only(w, four);
	}
	for (unsigned before = 0; w->heads < 4 * ARRAY_LEN(clients); before = w->heads) {
		uv_run(&w->loop, UV_RUN_NOWAIT);
		assert_in_range(w->heads - before, 1, 20);
	}
	for (unsigned i = 0; i < ARRAY_LEN(clients); i++) {
		w->client = clients[i];
		buf_clear(&w->seen);
		assert_true(turns(w));
		assert_int_equal(seen(w, "slow"), 4);
		if (i)
			close(clients[i]);
	}
	w->client = clients[0];
	world_end(w);
	clock_source = NULL;
}

/* Bodies in crumbs, too. */
static void test_a_turn_does_not_read_for_long(void **state)
{
	struct world *w = world_new(0);
	unsigned n = 0;

	(void)state;
	clock_source = &test_clock;
	w->time_ns = &time_ns;
	sends_only(w, "POST /take HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n");
	uv_run(&w->loop, UV_RUN_NOWAIT);
	sends_times(w, 100, "0123456789");
	for (; !w->done; n++) {
		uint64_t before_ns = time_ns;

		uv_run(&w->loop, UV_RUN_NOWAIT);
		assert_in_range(time_ns - before_ns, 0, 20 * NS_PER_MS);
		assert_in_range(n, 0, 100);
	}
	assert_true(turns(w));
	assert_int_equal(seen(w, "[/take 1000]"), 1);
	world_end(w);
	clock_source = NULL;
}

/* What is large takes long: each ends its turn, also where another client's is next. */
static void test_large_answers_have_a_turn_each(void **state)
{
	struct world *w = world_new(0);
	int clients[8];

	(void)state;
	clock_source = &test_clock;
	w->time_ns = &time_ns;
	for (unsigned i = 0; i < ARRAY_LEN(clients); i++) {
		if (i)
			connect_client(w);
		clients[i] = w->client;
		sends_only(w, "GET /heavy HTTP/1.1\r\nHost: h\r\n\r\n");
	}
	for (unsigned before = 0; w->heads < ARRAY_LEN(clients); before = w->heads) {
		uv_run(&w->loop, UV_RUN_NOWAIT);
		assert_in_range(w->heads - before, 0, 1);
	}
	for (unsigned i = 0; i < ARRAY_LEN(clients); i++) {
		w->client = clients[i];
		buf_clear(&w->seen);
		assert_true(turns(w));
		assert_true(w->seen.n > HEAVY_ANSWER);
		if (i)
			close(clients[i]);
	}
	w->client = clients[0];
	world_end(w);
	clock_source = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_untaken_answers_do_not_pile_up),
		cmocka_unit_test(test_requests_read_ahead_are_taken_from_the_budget),
		cmocka_unit_test(test_nothing_is_read_ahead_without_memory),
		cmocka_unit_test(test_input_that_waits_is_taken_from_the_budget),
		cmocka_unit_test(test_a_turn_is_not_long),
		cmocka_unit_test(test_a_turn_does_not_read_for_long),
		cmocka_unit_test(test_large_answers_have_a_turn_each),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
