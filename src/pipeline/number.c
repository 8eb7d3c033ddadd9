/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/number.h"

/*
 * Answers are thousands of floats, so these are not left to printf. A float of common size times a
 * power of ten is a whole number in a double, which holds twice the digits of a float: if it,
 * divided again, is that float, its digits are the answer. Where that might go wrong by a rounding,
 * printf decides.
 */

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS_MIN 6 /* zeros at the end are taken off anyway */
#define DIGITS_MAX 9 /* enough for every float */
#define DOUBLE_DIGITS_MIN 15
#define DOUBLE_DIGITS_MAX 17

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

/* ---- doubles ---- */

/* v = m * 2^-s, both exact; false where the numbers below would not fit 128 bits. */
static bool double_parts(double v, uint64_t *ret_m, unsigned *ret_s)
{
	uint64_t bits;

	if (!(v >= 1e-4 && v < 1e9))
		return false;
	memcpy(&bits, &v, sizeof(bits));
	*ret_m = (bits & ((UINT64_C(1) << 52) - 1)) | UINT64_C(1) << 52;
	*ret_s = 1075 - (unsigned)(bits >> 52);
	return true;
}

/* Is `whole` / 10^decimals nearer to m * 2^-s than to its neighbours? All times 10^decimals * 2 *
 * 2^s, where half the way to a neighbour is 10^decimals. */
static bool double_reads_back(uint64_t whole, unsigned __int128 ten, uint64_t m, unsigned s)
{
	unsigned __int128 there = (unsigned __int128)whole << (s + 1);
	unsigned __int128 here = (unsigned __int128)m * ten * 2;
	/* Below a power of two the neighbour is half as far. */
	bool is_power = m == UINT64_C(1) << 52 && there < here;
	unsigned __int128 apart = (there > here ? there - here : here - there) << is_power;

	return apart < ten || (apart == ten && m % 2 == 0);
}

/* The digits of repr(): the fewest that read back equal, and of those the nearest. */
static uint64_t double_digits(double v, unsigned *ret_decimals)
{
	unsigned before = 0, zeros = v < 1e-3 ? 3 : v < 1e-2 ? 2 : v < 1e-1 ? 1 : 0;
	unsigned __int128 ten = 1;
	uint64_t m;
	unsigned s;

	if (!double_parts(v, &m, &s))
		return 0;
	while (before < 10 && v >= tens[before])
		before++;
	for (unsigned i = before; i < DOUBLE_DIGITS_MIN + (before ? 0 : zeros); i++)
		ten *= 10;
	for (unsigned digits = DOUBLE_DIGITS_MIN; digits <= DOUBLE_DIGITS_MAX;
	     digits++, ten *= 10) {
		unsigned __int128 here = (unsigned __int128)m * ten;
		unsigned __int128 below = here >> s, rest = here - (below << s);
		unsigned __int128 half = (unsigned __int128)1 << (s - 1);
		uint64_t whole = (uint64_t)below;

		whole += rest > half || (rest == half && whole % 2);
		*ret_decimals = digits - before + (before ? 0 : zeros);
		if (double_reads_back(whole, ten, m, s))
			return whole;
	}
	return 0;
}

/* Above a power of two the next double is twice as far away as below it: of so many digits the
 * number above it may read back, where the nearest, which lies below, does not. */
static bool next_reads_back(char *text, size_t room, int digits, double v)
{
	int exponent;
	char *p;

	if (fabs(frexp(v, &exponent)) != 0.5)
		return false;
	snprintf(text, room, "%.*e", digits - 1, v);
	for (p = strchr(text, 'e') - 1; p > text && (*p == '9' || *p == '.'); p--)
		if (*p == '9')
			*p = '0';
	if (*p < '0' || *p > '8')
		return false;
	(*p)++;
	return strtod(text, NULL) == v;
}

/* As repr() lays them out: "d.ddde-05" below 1e-4 and from 1e16 on. */
static void put_double_slowly(struct buf *out, double v)
{
	char text[40];
	/* Fewer bits, fewer digits. */
	int exponent, digits = fabs(v) < DBL_MIN ? 1 : DOUBLE_DIGITS_MIN;

	for (; digits < DOUBLE_DIGITS_MAX; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, v);
		if (strtod(text, NULL) == v)
			break;
		if (next_reads_back(text, sizeof(text), digits, v)) {
			put_printed(out, text);
			return;
		}
	}
	snprintf(text, sizeof(text), "%.*e", digits - 1, v);
	exponent = (int)strtol(strchr(text, 'e') + 1, NULL, 10);
	if (exponent >= -4 && exponent < 16)
		snprintf(text, sizeof(text), "%.*g", MAX(digits, exponent + 1), v);
	else if (exponent != digits - 1) /* else it has no zeros to be taken off */
		snprintf(text, sizeof(text), "%.*g", digits, v);
	put_printed(out, text);
}

void number_put_double(struct buf *out, double v)
{
	double size = fabs(v);
	unsigned decimals;
	uint64_t whole;

	if (put_special(out, v))
		return;
	whole = double_digits(size, &decimals);
	if (!whole) {
		if (v == 0)
			buf_puts(out, signbit(v) ? "-0.0" : "0.0");
		else
			put_double_slowly(out, v);
		return;
	}
	if (v < 0)
		buf_putc(out, '-');
	put_decimal(out, whole, decimals);
}
