/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "kit/kit.h"

#define MS 1000000u

/* What runs take, of each kind, and how long wide ones wait. */
struct machine {
	uint64_t narrow_ns, wide_ns, waited_ns;
};

/* How many of `n` runs were wide. */
static unsigned wide_of(struct kit_choice *c, struct machine m, unsigned n)
{
	unsigned wide = 0;

	for (unsigned i = 0; i < n; i++) {
		bool is = kit_choice_wide(c);

		wide += is;
		kit_choice_took(c, is, is ? m.wide_ns : m.narrow_ns, is ? m.waited_ns : 0);
	}
	return wide;
}

static const struct machine idle = { 8 * MS, 5 * MS, 0 };

/* What was known before any was wide. */
static struct kit_choice begun(void)
{
	struct kit_choice c = { 0 };

	for (int i = 0; i < 8; i++)
		kit_choice_took(&c, false, 8 * MS, 0);
	return c;
}

static void wide_runs_that_are_faster(void **state)
{
	struct kit_choice c = begun();

	(void)state;
	/* The other kind is tried so seldom that its times are not among the slowest of a hundred.
	 */
	assert_int_equal(wide_of(&c, idle, 8 + 1280), 8 + 1270);
}

static void wide_runs_that_gain_next_to_nothing(void **state)
{
	struct kit_choice c = begun();

	(void)state;
	assert_in_range(wide_of(&c, (struct machine){ 8 * MS, 7500000, 0 }, 8 + 320), 8, 8 + 10);
}

static void wide_runs_without_processors(void **state)
{
	struct kit_choice c = begun();

	(void)state;
	wide_of(&c, idle, 100);
	/* Still faster than others would be, but they wait. */
	wide_of(&c, (struct machine){ 20 * MS, 12 * MS, 4 * MS }, 20);
	assert_in_range(wide_of(&c, (struct machine){ 20 * MS, 12 * MS, 4 * MS }, 320), 0, 10);
	/* When there are processors again, it is soon seen. */
	wide_of(&c, idle, 4 * 32);
	assert_in_range(wide_of(&c, idle, 128), 126, 128);
}

static void one_slow_run_changes_nothing(void **state)
{
	struct kit_choice c = begun();

	(void)state;
	wide_of(&c, idle, 100);
	kit_choice_took(&c, true, 900 * MS, 800 * MS);
	assert_in_range(wide_of(&c, idle, 100), 99, 100);
}

static void the_first_wide_runs_may_be_slow(void **state)
{
	struct kit_choice c = begun();

	(void)state;
	assert_int_equal(wide_of(&c, (struct machine){ 8 * MS, 40 * MS, 0 }, 7), 7);
	assert_in_range(wide_of(&c, idle, 100), 99, 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wide_runs_that_are_faster),
		cmocka_unit_test(wide_runs_that_gain_next_to_nothing),
		cmocka_unit_test(wide_runs_without_processors),
		cmocka_unit_test(one_slow_run_changes_nothing),
		cmocka_unit_test(the_first_wide_runs_may_be_slow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
