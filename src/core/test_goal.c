/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/util.h"
#include "core/goal.h"

#define MS(n) ((uint64_t)((n)*1e6))

/* time(n) = a + c·n, as learnt from batches of one to eight. */
static struct batch_cost known(double a_ms, double c_ms)
{
	struct batch_cost c = { 0 };

	for (unsigned i = 0; i < 80; i++)
		batch_cost_learn(&c, 1 + i % 8, MS(a_ms + c_ms * (1 + i % 8)));
	return c;
}

static const struct goal_learnt nothing;

static void half_of_the_goal_is_for_the_batch(void **state)
{
	static const struct {
		double a_ms, c_ms, goal_ms;
		unsigned size, want;
	} rows[] = {
		{ 10, 1, 0, 32, 32 },   /* there is no goal */
		{ 10, 1, 100, 64, 40 }, /* 50 ms are for a batch */
		{ 10, 1, 100, 32, 32 }, { 0, 10, 100, 32, 5 },
		{ 20, 0, 100, 32, 32 }, /* all cost the same */
		{ 20, 1, 30, 32, 5 },   /* one is more than half: what is left is halved */
		{ 20, 1, 10, 32, 1 },   /* no batch is fast enough */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct batch_cost c = known(rows[i].a_ms, rows[i].c_ms);
		struct goal_state s = { .goal_ns = MS(rows[i].goal_ms),
					.cost = &c,
					.learnt = &nothing,
					.batch_size = rows[i].size };

		assert_in_range(goal_batch_size(&s), MAX(rows[i].want, 2) - 1, rows[i].want);
	}
}

static void two_are_tried_where_one_size_is_known(void **state)
{
	struct batch_cost c = { 0 };
	struct goal_state s = {
		.goal_ns = MS(15), .cost = &c, .learnt = &nothing, .batch_size = 8
	};

	(void)state;
	assert_int_equal(goal_batch_size(&s), 8); /* nothing is known */
	for (unsigned i = 0; i < 10; i++)
		batch_cost_learn(&c, 1, MS(10));
	assert_int_equal(goal_batch_size(&s), 2);
	s.batch_size = 1;
	assert_int_equal(goal_batch_size(&s), 1);
}

static void a_fuller_batch_is_waited_for_within_the_goal(void **state)
{
	struct batch_cost c = known(10, 0), none = { 0 };
	struct goal_state s = {
		.goal_ns = MS(100), .cost = &c, .learnt = &nothing, .batch_size = 8
	};

	(void)state;
	assert_true(goal_delay_ns(&s, MS(50)) == MS(50));
	assert_in_range(goal_delay_ns(&s, MS(500)), MS(89), MS(91));
	s.cost = &none;
	assert_true(goal_delay_ns(&s, MS(500)) == MS(50));
	s.goal_ns = MS(5);
	s.cost = &c;
	assert_true(goal_delay_ns(&s, MS(500)) == 0);
	s.goal_ns = 0;
	assert_true(goal_delay_ns(&s, MS(500)) == MS(500));
}

/* A batch of one takes 20 ms, a full one of four 50 ms: a = c = 10 ms. */
static const struct {
	const char *what;
	double goal_ms;
	unsigned waiting;
	double left_ms[3]; /* of its workers; less than 0: that many there are */
	double ready_ms;
	enum goal_answer want;
	double expected_ms;
	unsigned retry_after_s;
} forecasts[] = {
	{ "free, empty", 100, 0, { 0, -1 }, 0, GOAL_ADMIT, 20, 0 },
	{ "free, and too slow: who would do better?", 5, 0, { 0, -1 }, 0, GOAL_ADMIT, 20, 0 },
	{ "free, with others that came now", 100, 2, { 0, -1 }, 0, GOAL_ADMIT, 40, 0 },
	{ "one runs", 100, 0, { 30, -1 }, 0, GOAL_ADMIT, 80, 0 },
	{ "one has just begun", 100, 3, { 50, -1 }, 0, GOAL_ADMIT, 100, 0 },
	{ "a batch waits", 100, 4, { 10, -1 }, 0, GOAL_LOAD, 110, 1 },
	{ "very much waits", 100, 400, { 50, -1 }, 0, GOAL_LOAD, 5100, 5 },
	{ "more than an hour", 100, 400000, { 50, -1 }, 0, GOAL_LOAD, 5000100, 60 },
	{ "two workers, two batches", 100, 4, { 10, 45, -1 }, 0, GOAL_ADMIT, 95, 0 },
	{ "the same, the other way", 100, 4, { 45, 10, -1 }, 0, GOAL_ADMIT, 95, 0 },
	{ "two workers, three batches", 100, 8, { 10, 45, -1 }, 0, GOAL_LOAD, 110, 1 },
	{ "slower than the goal, and busy", 15, 0, { 10, -1 }, 0, GOAL_SLOW, 30, 1 },
	{ "nobody is ready yet", 1000, 0, { -1 }, 200, GOAL_ADMIT, 250, 0 },
	{ "nobody is ready in time", 100, 0, { -1 }, 2500, GOAL_NOBODY, 2550, 3 },
};

static void forecasts_are_what_a_queue_comes_to(void **state)
{
	struct batch_cost c = known(10, 10);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(forecasts); i++) {
		struct goal_state s = { .goal_ns = MS(forecasts[i].goal_ms),
					.cost = &c,
					.learnt = &nothing,
					.batch_size = 4,
					.waiting = forecasts[i].waiting,
					.ready_ns = MS(forecasts[i].ready_ms) };
		/* A little more than the goal is no miss of the table's. */
		struct goal_forecast f;

		s.goal_ns += s.goal_ns / 1000;
		for (unsigned k = 0; forecasts[i].left_ms[k] >= 0; k++)
			goal_add_place(&s, MS(forecasts[i].left_ms[k]));
		f = goal_forecast(&s);
		assert_in_range(f.expected_ns, MS(0.99 * forecasts[i].expected_ms),
				MS(1.01 * forecasts[i].expected_ms));
		if (f.answer != forecasts[i].want || f.retry_after_s != forecasts[i].retry_after_s)
			fail_msg("%s: %d, retry after %u s", forecasts[i].what, (int)f.answer,
				 f.retry_after_s);
	}
}

static void nothing_is_refused_before_anything_is_known(void **state)
{
	struct batch_cost none = { 0 };
	struct goal_state s = { .goal_ns = 1,
				.cost = &none,
				.learnt = &nothing,
				.batch_size = 4,
				.waiting = 1000,
				.ready_ns = MS(1e6) };

	(void)state;
	assert_int_equal(goal_forecast(&s).answer, GOAL_ADMIT);
	goal_add_place(&s, MS(1e6));
	assert_int_equal(goal_forecast(&s).answer, GOAL_ADMIT);
	assert_true(goal_forecast(&s).expected_ns == 0);
}

static void many_places_are_as_few(void **state)
{
	struct batch_cost c = known(10, 10);
	struct goal_state s = {
		.goal_ns = MS(1000), .cost = &c, .learnt = &nothing, .batch_size = 1
	};

	(void)state;
	for (unsigned i = 0; i < 3 * GOAL_PLACES_MAX; i++)
		goal_add_place(&s, MS(1 + i * 37 % 191));
	assert_int_equal(s.n_places, 3 * GOAL_PLACES_MAX);
	for (unsigned i = 0; i + 1 < GOAL_PLACES_MAX; i++)
		assert_true(s.left_ns[i] <= s.left_ns[i + 1]);
	assert_true(s.left_ns[0] == MS(1));
	assert_true(s.left_ns[GOAL_PLACES_MAX - 1] <= MS(GOAL_PLACES_MAX + 2));
	s.waiting = 6 * GOAL_PLACES_MAX;
	assert_in_range(goal_forecast(&s).expected_ns, MS(60), MS(62));
}

static void what_hangs_is_not_expected_soon(void **state)
{
	struct batch_cost c = known(10, 10);
	struct goal_state s = {
		.goal_ns = MS(100), .cost = &c, .learnt = &nothing, .batch_size = 1
	};

	(void)state;
	assert_in_range(goal_left_ns(&s, 1, MS(5)), MS(14.9), MS(15.1));
	assert_in_range(goal_left_ns(&s, 1, MS(21)), 1, MS(1.1));
	assert_in_range(goal_left_ns(&s, 1, MS(520)), MS(499), MS(501));
}

static void expectations_that_were_wrong_leave_a_margin(void **state)
{
	struct batch_cost c = known(10, 10);
	struct goal_learnt g = { 0 };
	struct goal_state s = { .goal_ns = MS(75), .cost = &c, .learnt = &g, .batch_size = 1 };

	(void)state;
	goal_add_place(&s, MS(20));
	assert_int_equal(goal_forecast(&s).answer, GOAL_ADMIT);
	/* All take 40 ms more: first that is a surprise, then it is a fact. */
	for (unsigned i = 0; i < 500; i++)
		goal_learn_error(&g, MS(80), MS(40), 1);
	assert_in_range(goal_forecast(&s).margin_ns, MS(39), MS(41));
	assert_int_equal(goal_forecast(&s).answer, GOAL_LOAD);
	/* They vary by 10 ms. */
	for (unsigned i = 0; i < 500; i++)
		goal_learn_error(&g, MS(40), MS(i % 2 ? 30 : 50), 1);
	assert_in_range(goal_forecast(&s).margin_ns, MS(20), MS(35));
	assert_int_equal(goal_forecast(&s).answer, GOAL_ADMIT);
	/* Those that are early do not make the next ones later. */
	for (unsigned i = 0; i < 500; i++)
		goal_learn_error(&g, MS(10), MS(40), 1);
	assert_true(goal_forecast(&s).margin_ns == 0);
}

static void streams_begin_before_they_end(void **state)
{
	struct batch_cost none = { 0 };
	struct goal_learnt g = { 0 };
	struct goal_state s = { .goal_ns = MS(200), .cost = &none, .learnt = &g, .batch_size = 1 };

	(void)state;
	for (unsigned i = 0; i < 500; i++)
		goal_learn_hold(&g, MS(1000), MS(100));
	goal_add_place(&s, MS(50));
	assert_in_range(goal_forecast(&s).expected_ns, MS(149), MS(151));
	assert_int_equal(goal_forecast(&s).answer, GOAL_ADMIT);
	s.waiting = 1;
	assert_int_equal(goal_forecast(&s).answer, GOAL_LOAD);
	assert_int_equal(goal_forecast(&s).retry_after_s, 1);
	/* Answers that come whole take all of it. */
	for (unsigned i = 0; i < 500; i++)
		goal_learn_hold(&g, MS(1000), MS(1000));
	s.waiting = 0;
	assert_int_equal(goal_forecast(&s).answer, GOAL_SLOW);
}

static void whoever_comes_now_waits(void **state)
{
	struct batch_cost c = known(10, 5);
	struct goal_state s = {
		.cost = &c, .learnt = &nothing, .batch_size = 8, .ready_ns = UINT64_MAX
	};

	(void)state;
	assert_true(goal_wait_ns(&s) == 0); /* nobody will come: it is refused */
	s.ready_ns = MS(700);
	assert_true(goal_wait_ns(&s) == MS(700));
	goal_add_place(&s, 0);
	assert_true(goal_wait_ns(&s) == 0);
	s.left_ns[0] = MS(30);
	assert_true(goal_wait_ns(&s) == MS(30));
	s.waiting = 7; /* it goes with them */
	assert_true(goal_wait_ns(&s) == MS(30));
	s.waiting = 16; /* two batches of 50 ms are before it */
	assert_in_range(goal_wait_ns(&s), MS(129), MS(131));
	goal_add_place(&s, MS(40)); /* the second takes half of them */
	assert_in_range(goal_wait_ns(&s), MS(79), MS(81));
	s.waiting = 24;
	assert_in_range(goal_wait_ns(&s), MS(89), MS(91));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(half_of_the_goal_is_for_the_batch),
		cmocka_unit_test(two_are_tried_where_one_size_is_known),
		cmocka_unit_test(a_fuller_batch_is_waited_for_within_the_goal),
		cmocka_unit_test(forecasts_are_what_a_queue_comes_to),
		cmocka_unit_test(nothing_is_refused_before_anything_is_known),
		cmocka_unit_test(many_places_are_as_few),
		cmocka_unit_test(what_hangs_is_not_expected_soon),
		cmocka_unit_test(expectations_that_were_wrong_leave_a_margin),
		cmocka_unit_test(streams_begin_before_they_end),
		cmocka_unit_test(whoever_comes_now_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
