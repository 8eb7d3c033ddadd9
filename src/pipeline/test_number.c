/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/number.h"

static const char *written(float v)
{
	static struct buf out;

	buf_finish(&out);
	out = BUF_INIT(64);
	number_put_float(&out, v);
	return buf_cstr(&out);
}

static void floats_as_one_would_write_them(void **state)
{
	static const struct {
		float v;
		const char *text;
	} cases[] = {
		{ 0, "0.0" },
		{ -0.0F, "-0.0" },
		{ 1, "1.0" },
		{ -1.5F, "-1.5" },
		{ 0.1F, "0.1" },
		{ 0.3F, "0.3" },
		{ 100, "100.0" },
		{ 16777216, "16777216.0" },
		{ 123456789, "123456792.0" },
		{ 0.000123F, "0.000123" },
		{ 0.00012207031F, "0.00012207031" },
		{ 3.14159274F, "3.1415927" },
		{ 0.99999994F, "0.99999994" },
		{ 9.5367431640625e-7F, "9.536743e-07" },
		{ 1e-5F, "1e-05" },
		{ 3.4028235e38F, "3.4028235e+38" },
		{ 1e-45F, "1.4013e-45" },
		{ NAN, "NaN" },
		{ INFINITY, "Infinity" },
		{ -INFINITY, "-Infinity" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_string_equal(written(cases[i].v), cases[i].text);
}

/* As few digits as printf() needs. */
static unsigned digits_needed(float v)
{
	char text[40];

	for (int digits = 6;; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, (double)v);
		if (strtof(text, NULL) == v)
			return (unsigned)digits;
	}
}

/* From the first that is not 0; zeros before the point are digits, too. */
static unsigned digits_of(const char *text)
{
	unsigned n = 0;

	for (; *text && *text != 'e'; text++)
		if (*text >= (n ? '0' : '1') && *text <= '9')
			n++;
	return n;
}

static void all_floats_read_back_equal(void **state)
{
	uint32_t bits = 1;
	unsigned longer = 0;

	(void)state;
	for (unsigned i = 0; i < 300000; i++) {
		const char *text;
		float v;

		/* A walk through all bits; every other one of common size. */
		bits = bits * 1664525U + 1013904223U;
		memcpy(&v, &bits, sizeof(v));
		v = isfinite(v) && i % 2 ? v
					 : (float)(bits % 2000001) / 1000003.0F * (float)(i % 37);
		text = written(v);
		if (strtof(text, NULL) != v)
			fail_msg("%a is written as %s", (double)v, text);
		longer += fabsf(v) < 1e6F && digits_of(text) > digits_needed(v);
	}
	/* A digit more where a rounding is in doubt. */
	assert_true(longer < 30);
}

static const char *double_written(double v)
{
	static struct buf out;

	buf_finish(&out);
	out = BUF_INIT(64);
	number_put_double(&out, v);
	return buf_cstr(&out);
}

/* Texts are Python's repr(). */
static void doubles_as_python_writes_them(void **state)
{
	static const struct {
		double v;
		const char *text;
	} cases[] = {
		{ 0.1, "0.1" },
		{ 1.0 / 3, "0.3333333333333333" },
		{ 2.0 / 3, "0.6666666666666666" },
		{ 0.1F, "0.10000000149011612" },
		{ 0.40966302156448364, "0.40966302156448364" },
		{ 0.00012345679, "0.00012345679" },
		{ 0.0001, "0.0001" },
		{ 9.999e-5, "9.999e-05" },
		{ 0.1 + 0.2, "0.30000000000000004" },
		{ 0.9999999999999999, "0.9999999999999999" },
		{ 0x1p-24, "5.960464477539063e-08" }, /* the nearest of 16 digits does not do */
		{ -0x1p-44, "-5.684341886080802e-14" },
		{ 0x1p-1022, "2.2250738585072014e-308" },
		{ 5e-324, "5e-324" },
		{ 1.7e308, "1.7e+308" },
		{ -2, "-2.0" },
		{ 123456789.125, "123456789.125" },
		{ 999999999.9999999, "999999999.9999999" },
		{ 1e15, "1000000000000000.0" },
		{ 1234567890123456.7, "1234567890123456.8" },
		{ 9007199254740993.0, "9007199254740992.0" },
		{ 1e16, "1e+16" },
		{ 12345678901234567.0, "1.2345678901234568e+16" },
		{ 1e22, "1e+22" },
		{ 0.5, "0.5" },
		{ 0.25, "0.25" },
		{ 0.0009765625, "0.0009765625" },
		{ -0.0, "-0.0" },
		{ NAN, "NaN" },
		{ -INFINITY, "-Infinity" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_string_equal(double_written(cases[i].v), cases[i].text);
}

/* Doubles that are, and are not, floats: as few digits as printf() needs, and the same ones. */
static void doubles_are_as_short_as_can_be(void **state)
{
	uint64_t bits = 1;

	(void)state;
	for (unsigned i = 0; i < 200000; i++) {
		char text[40];
		int digits = 14;
		double v;

		bits = bits * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		v = (double)(bits >> 11) / 9007199254740992.0 * (i % 5 ? 1 : 70000);
		v = i % 2 ? (double)(float)v : i % 7 ? v : (double)(bits >> 40) / 1000;
		do
			snprintf(text, sizeof(text), "%.*g", ++digits, v);
		while (strtod(text, NULL) != v);
		if (!strpbrk(text, ".e"))
			snprintf(text + strlen(text), sizeof(text) - strlen(text), ".0");
		assert_string_equal(double_written(v), text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(floats_as_one_would_write_them),
		cmocka_unit_test(all_floats_read_back_equal),
		cmocka_unit_test(doubles_as_python_writes_them),
		cmocka_unit_test(doubles_are_as_short_as_can_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
