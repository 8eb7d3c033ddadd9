/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/util.h"
#include "core/backoff.h"
#include "core/dispatch.h"
#include "core/sizes.h"

static void frames_carry_what_pays(void **state)
{
	static const struct {
		bool batching;
		uint64_t estimate_ns;
		unsigned queued, size, workers, inflight, want;
		uint64_t slowest_ns;
	} rows[] = {
		{ true, 0, 20, 1, 1, 0, 1 },     /* unknown: one */
		{ true, 0, 20, 1, 1, 1, 0 },     /* and no second frame */
		{ true, 20000, 20, 1, 1, 0, 8 }, /* short: eight, and a second frame */
		{ true, 20000, 20, 1, 1, 1, 8 },
		{ true, 20000, 20, 1, 1, 2, 0 },
		{ true, 20000, 6, 1, 2, 0, 3 }, /* shared between two workers */
		{ true, 20000, 6, 4, 1, 0, 2 }, /* batches, not requests */
		{ true, 99000, 1, 1, 1, 0, 1 },
		{ true, 100000, 20, 1, 1, 1, 0 }, /* not short */
		{ true, 5000000, 20, 1, 1, 0, 1 },
		{ false, 20000, 20, 1, 1, 0, 1 }, /* turned off */
		{ false, 20000, 20, 1, 1, 1, 0 },
		/* Short, but for one lately: nobody waits for the next such one. */
		{ true, 20000, 20, 1, 1, 0, 1, DISPATCH_LONG_NS },
		{ true, 20000, 20, 1, 1, 1, 0, DISPATCH_LONG_NS },
		{ true, 20000, 20, 1, 1, 0, 8, DISPATCH_LONG_NS - 1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct dispatch_policy p = { rows[i].batching };

		assert_int_equal(dispatch_frame_batches(&p, rows[i].estimate_ns, rows[i].slowest_ns,
							rows[i].queued, rows[i].size,
							rows[i].workers, rows[i].inflight),
				 rows[i].want);
	}
}

static void death_decides_by_what_was_begun(void **state)
{
	static const struct {
		struct request r;
		bool allowed, timed_out, concurrent;
		enum dispatch_fate want;
		bool behind, for_another;
		unsigned begun;
	} rows[] = {
		{ { .batch = 6 }, true, false, false, FATE_REQUEUE },
		{ { .batch = 6 }, false, true, false, FATE_FAIL },
		{ { .batch = 5 }, true, false, false, FATE_RETRY },
		{ { .batch = 5 }, false, false, false, FATE_FAIL },
		{ { .batch = 5 }, true, true, false, FATE_FAIL },
		{ { .batch = 5, .retried = true }, true, false, false, FATE_FAIL },
		{ { .batch = 5, .answered = true }, true, false, false, FATE_FAIL },
		{ { .batch = 6, .answered = true }, true, false, false, FATE_FAIL },
		{ { .batch = 5, .deadline_ns = 99 }, true, false, false, FATE_FAIL },
		{ { .batch = 5, .deadline_ns = 101 }, true, false, false, FATE_RETRY },
		{ { .batch = 4 }, true, false, false, FATE_REQUEUE },
		{ { .batch = 4, .retried = true }, true, false, false, FATE_REQUEUE },
		{ { .batch = 4 }, false, false, false, FATE_FAIL },
		{ { .batch = 4 }, true, false, true, FATE_RETRY },
		{ { .batch = 4, .retried = true }, true, false, true, FATE_FAIL },
		/* In a group it may be another of it, unless the others had ended. */
		{ { .batch = 4, .retried = true, .beside = 10 },
		  true,
		  false,
		  true,
		  FATE_RETRY,
		  .begun = 10 },
		{ { .batch = 4, .retried = true, .beside = 10 }, true, false, true, FATE_FAIL },
		{ { .batch = 4, .retried = true, .beside = 1 },
		  true,
		  false,
		  true,
		  FATE_FAIL,
		  .begun = 1 },
		{ { .batch = 4 }, true, false, true, FATE_REQUEUE, .for_another = true },
		{ { .batch = 4 }, false, false, true, FATE_FAIL, .for_another = true },
		{ { .batch = 4 }, true, true, true, FATE_FAIL, .for_another = true },
		{ { .batch = 4, .answered = true },
		  true,
		  false,
		  true,
		  FATE_FAIL,
		  .for_another = true },
		{ { .batch = 6, .cancelled = true }, true, false, false, FATE_DROP },
		/* What workers have first and never begin, again and again. */
		{ { .batch = 6, .unbegun = 1 }, true, false, false, FATE_REQUEUE },
		{ { .batch = 6, .unbegun = 2 }, true, false, false, FATE_RETRY },
		{ { .batch = 6, .unbegun = 2 }, true, false, false, FATE_REQUEUE, .behind = true },
		{ { .batch = 6, .unbegun = 2 }, false, false, false, FATE_FAIL },
		{ { .batch = 6, .unbegun = 3, .retried = true }, true, false, false, FATE_FAIL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct dispatch_death d = { .started_batch = 5,
					    .now_ns = 100,
					    .begun = MAX(rows[i].begun, 1),
					    .concurrent = rows[i].concurrent,
					    .retry = rows[i].allowed,
					    .timed_out = rows[i].timed_out,
					    .for_another = rows[i].for_another,
					    .first = !rows[i].behind };

		assert_int_equal(dispatch_after_death(&rows[i].r, &d), rows[i].want);
	}
}

static void what_ran_side_by_side_runs_in_groups_and_then_alone(void **state)
{
	struct dispatch_death d = { .concurrent = true, .begun = 100 };
	struct request r = { 0 };

	(void)state;
	assert_int_equal(dispatch_beside(&r, &d), 10);
	d.begun = 2;
	assert_int_equal(dispatch_beside(&r, &d), 2);
	d.begun = 1;
	assert_int_equal(dispatch_beside(&r, &d), 1);
	d.begun = 10;
	r.retried = true;
	assert_int_equal(dispatch_beside(&r, &d), 1);
	d = (struct dispatch_death){ .begun = 3 };
	r.retried = false;
	assert_int_equal(dispatch_beside(&r, &d), 1);

	/* Credits, running; of what runs, of what is next. */
	assert_int_equal(dispatch_concurrent_batches(100, 0, 0, 0), 100);
	assert_int_equal(dispatch_concurrent_batches(100, 40, 0, 0), 60);
	assert_int_equal(dispatch_concurrent_batches(100, 0, 0, 10), 10);
	assert_int_equal(dispatch_concurrent_batches(100, 4, 10, 10), 6);
	assert_int_equal(dispatch_concurrent_batches(100, 4, 10, 1), 0);
	assert_int_equal(dispatch_concurrent_batches(100, 1, 1, 10), 0);
	assert_int_equal(dispatch_concurrent_batches(100, 4, 10, 0), 0); /* others wait … */
	assert_int_equal(dispatch_concurrent_batches(100, 4, 0, 10), 0); /* … for each other */
	assert_int_equal(dispatch_concurrent_batches(4, 0, 0, 10), 4);
}

static void back_off_grows_as_torchserves_does(void **state)
{
	static const unsigned seconds[] = { 0,  1,  1,   2,   3,   5,   8,   13,   21,   34,
					    55, 89, 144, 233, 377, 610, 987, 1597, 1597, 1597 };

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(seconds); i++)
		assert_int_equal(backoff_next_ns(i), seconds[i] * NS_PER_S);
}

static void grants_follow_the_sizes_of_replies(void **state)
{
	struct sizes s = { 0 };

	(void)state;
	sizes_learn(&s, 8192);
	assert_int_equal(sizes_grant(&s), 0);
	sizes_learn(&s, 600000);
	assert_int_equal(sizes_grant(&s), 1 << 20);
	for (unsigned i = 0; i < 5; i++)
		sizes_learn(&s, 10);
	assert_int_equal(sizes_grant(&s), 1 << 20);
	for (unsigned i = 0; i < 2000; i++)
		sizes_learn(&s, 10);
	assert_int_equal(sizes_grant(&s), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_carry_what_pays),
		cmocka_unit_test(death_decides_by_what_was_begun),
		cmocka_unit_test(what_ran_side_by_side_runs_in_groups_and_then_alone),
		cmocka_unit_test(back_off_grows_as_torchserves_does),
		cmocka_unit_test(grants_follow_the_sizes_of_replies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
