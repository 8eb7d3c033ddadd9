/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <math.h>

#include "base/number.h"
#include "base/util.h"

static void test_texts(void **state)
{
	static const struct {
		const char *text;
		int64_t want;
	} cases[] = {
		{ "0", 0 },
		{ "2", 2 },
		{ " 2\t", 2 },
		{ "+2", 2 },
		{ "-2.0", -2 },
		{ "1.", 1 },
		{ "1.0", 1 },
		{ "1e+06", 1000000 },
		{ "1E6", 1000000 },
		{ "6.5535e+06", 6553500 },
		{ "120e-1", 12 },
		{ "0e400", 0 },
		{ "1.00000000000000000000000000000000", 1 },
		{ "9223372036854775807", INT64_MAX },
		{ "-9223372036854775808", INT64_MIN },
		{ "9.223372036854775807e18", INT64_MAX },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int64_t got = 7;

		assert_true(number_from_text(slice_str(cases[i].text), &got));
		assert_int_equal(got, cases[i].want);
	}
}

static void test_what_is_not_whole(void **state)
{
	static const char *const texts[] = {
		"",
		"  ",
		"-",
		"e5",
		".5",
		"1.5",
		"1e-1",
		"1e",
		"1e+",
		"1e999",
		"0x10",
		"1_0",
		"1 0",
		"1.0f",
		"true",
		"1e19",
		"NaN",
		"inf",
		"9223372036854775808",
		"99999999999999999999",
		"1e99999999999999999999",
	};
	int64_t got = 7;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		assert_false(number_from_text(slice_str(texts[i]), &got));
	assert_false(number_from_text(SLICE_NULL, &got));
	assert_int_equal(got, 7);
}

static void test_doubles(void **state)
{
	int64_t got = 7;

	(void)state;
	assert_true(!number_from_double(0.5, &got) && !number_from_double(NAN, &got));
	assert_true(!number_from_double(INFINITY, &got) && !number_from_double(1e300, &got));
	assert_int_equal(got, 7);
	assert_true(number_from_double(-3.0, &got) && got == -3);
	assert_true(number_from_double(1e6, &got) && got == 1000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_what_is_not_whole),
		cmocka_unit_test(test_doubles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
