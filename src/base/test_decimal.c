/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/decimal.h"
#include "base/util.h"

static void expect(double v, const char *text)
{
	char out[DECIMAL_MAX + 1];

	out[decimal_write(out, v)] = '\0';
	assert_string_equal(out, text);
}

static void numbers_are_as_java_prints_them(void **state)
{
	(void)state;
	expect(0, "0.0");
	expect(-0.0, "-0.0");
	expect(1, "1.0");
	expect(-1, "-1.0");
	expect(0.25, "0.25");
	expect(12.34, "12.34");
	expect(0.001, "0.001");
	expect(0.0001, "1.0E-4");
	expect(9999999, "9999999.0");
	expect(1e7, "1.0E7");
	expect(27724000, "2.7724E7");
	expect(0.1 + 0.2, "0.30000000000000004");
	expect(1.0 / 3, "0.3333333333333333");
	expect(NAN, "NaN");
	expect(INFINITY, "+Inf");
	expect(-INFINITY, "-Inf");
	expect(1.7976931348623157e308, "1.7976931348623157E308");
	expect(-1.5e-300, "-1.5E-300");
}

static void what_is_written_reads_back_equal(void **state)
{
	uint64_t seed = 88172645463325252;

	(void)state;
	for (int i = 0; i < 200000; i++) {
		char out[DECIMAL_MAX + 1];
		double v;

		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		v = i % 2 ? (double)(seed % 100000000) / 1000 : (double)seed * 1e-9;
		out[decimal_write(out, v)] = '\0';
		assert_true(strtod(out, NULL) == v);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_as_java_prints_them),
		cmocka_unit_test(what_is_written_reads_back_equal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
