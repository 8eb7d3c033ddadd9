/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/number.h"

/*
 * Answers are thousands of floats, so these are not left to printf. A float of common size times a
 * power of ten is a whole number in a double, which holds twice the digits of a float: if it,
 * divided again, is that float, its digits are the answer. Where that might go wrong by a rounding,
 * printf decides.
 */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS_MIN 6 /* zeros at the end are taken off anyway */
#define DIGITS_MAX 9 /* enough for every float */

static const double tens[] = { 1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6, 1e7,
			       1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14 };

static bool put_special(struct buf *out, double v)
{
	if (isfinite(v))
		return false;
	buf_puts(out, isnan(v) ? "NaN" : v < 0 ? "-Infinity" : "Infinity");
	return true;
}

static void put_printed(struct buf *out, const char *text)
{
	buf_puts(out, text);
	if (!strpbrk(text, ".e"))
		buf_puts(out, ".0");
}

static void put_float_slowly(struct buf *out, float v)
{
	char text[40];

	for (int digits = DIGITS_MIN; digits <= DIGITS_MAX; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, (double)v);
		if (strtof(text, NULL) == v)
			break;
	}
	put_printed(out, text);
}

/* Half way between two floats: which one the decimal number is next to is lost. */
static bool is_half_way(double v)
{
	uint64_t bits;

	memcpy(&bits, &v, sizeof(bits));
	return (bits & 0x1fffffff) == 0x10000000;
}

/* v in [1e-4, 1e9): whole / 10^*ret_decimals; 0: not found. */
static uint64_t float_digits(float v, unsigned *ret_decimals)
{
	unsigned before =
		0; /* digits before the point; in [1e-4, 1) the zeros behind it are none */
	unsigned zeros = v < 1e-3F ? 3 : v < 1e-2F ? 2 : v < 1e-1F ? 1 : 0;

	while (before < DIGITS_MAX && (double)v >= tens[before])
		before++;
	for (unsigned digits = DIGITS_MIN; digits <= DIGITS_MAX; digits++) {
		unsigned decimals = digits > before ? digits - before + (before ? 0 : zeros) : 0;
		double whole = nearbyint((double)v * tens[decimals]);
		double back = whole / tens[decimals];

		if ((float)back != v || is_half_way(back))
			continue;
		*ret_decimals = decimals;
		return (uint64_t)whole;
	}
	return 0;
}

/* "123.45", with at least one digit on each side of the point. */
static void put_decimal(struct buf *out, uint64_t whole, unsigned decimals)
{
	char text[32], *p = text + sizeof(text);
	unsigned left = decimals;

	while (left > 1 && whole % 10 == 0) {
		whole /= 10;
		left--;
	}
	if (!left)
		*--p = '0';
	for (; left; left--, whole /= 10)
		*--p = (char)('0' + whole % 10);
	*--p = '.';
	do
		*--p = (char)('0' + whole % 10);
	while (whole /= 10);
	buf_append(out, p, (size_t)(text + sizeof(text) - p));
}

void number_put_float(struct buf *out, float v)
{
	float size = fabsf(v);
	unsigned decimals;
	uint64_t whole;

	if (put_special(out, v))
		return;
	if (size < 1e-4F || size >= 1e9F || !(whole = float_digits(size, &decimals))) {
		if (v == 0) /* the most common of all */
			buf_puts(out, signbit(v) ? "-0.0" : "0.0");
		else
			put_float_slowly(out, v);
		return;
	}
	if (v < 0)
		buf_putc(out, '-');
	put_decimal(out, whole, decimals);
}

void number_put_double(struct buf *out, double v)
{
	char text[40];

	if (put_special(out, v))
		return;
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, v);
		if (strtod(text, NULL) == v)
			break;
	}
	put_printed(out, text);
}
