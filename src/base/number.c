/* SPDX-License-Identifier: Apache-2.0 */
#include "base/number.h"

#include <limits.h>

#define EXPONENT_MAX 400 /* no double has a larger one */
#define EXACT_MAX 9007199254740992.0

static unsigned digit_at(struct slice s, size_t i)
{
	return i < s.n ? (unsigned)(unsigned char)s.p[i] - '0' : UINT_MAX;
}

/* Takes the digits at the front. */
static struct slice take_digits(struct slice *s)
{
	struct slice digits = slice_make(s->p, 0);

	while (digit_at(*s, digits.n) <= 9)
		digits.n++;
	*s = slice_make(s->p + digits.n, s->n - digits.n);
	return digits;
}

/* "e+06" at the front, or nothing. */
static bool take_exponent(struct slice *s, int64_t *ret)
{
	*ret = 0;
	if (!s->n)
		return true;
	if (*s->p != 'e' && *s->p != 'E')
		return false;
	return slice_i64(slice_make(s->p + 1, s->n - 1), ret) && *ret >= -EXPONENT_MAX &&
	       *ret <= EXPONENT_MAX;
}

static bool add_digits(uint64_t *v, struct slice digits)
{
	for (size_t i = 0; i < digits.n; i++)
		if (__builtin_mul_overflow(*v, 10, v) ||
		    __builtin_add_overflow(*v, digit_at(digits, i), v))
			return false;
	return true;
}

/* Multiplies by a power of ten, if the result is whole. */
static bool shift_digits(uint64_t *v, int64_t power)
{
	for (; *v && power > 0; power--)
		if (__builtin_mul_overflow(*v, 10, v))
			return false;
	for (; *v && power < 0; power++) {
		if (*v % 10)
			return false;
		*v /= 10;
	}
	return true;
}

bool number_from_text(struct slice s, int64_t *ret)
{
	struct slice whole, fraction = SLICE_NULL;
	bool minus;
	int64_t exponent;
	uint64_t v = 0;

	s = slice_trim(s);
	minus = s.n && *s.p == '-';
	if (minus || (s.n && *s.p == '+'))
		s = slice_make(s.p + 1, s.n - 1);
	whole = take_digits(&s);
	if (whole.n && s.n && *s.p == '.') {
		s = slice_make(s.p + 1, s.n - 1);
		fraction = take_digits(&s);
	}
	while (fraction.n && fraction.p[fraction.n - 1] == '0')
		fraction.n--;
	if (!whole.n || !take_exponent(&s, &exponent) || !add_digits(&v, whole) ||
	    !add_digits(&v, fraction) || !shift_digits(&v, exponent - (int64_t)fraction.n) ||
	    v > (uint64_t)INT64_MAX + minus)
		return false;
	*ret = minus ? (int64_t)(0 - v) : (int64_t)v;
	return true;
}

bool number_from_double(double v, int64_t *ret)
{
	if (!(v >= -EXACT_MAX && v <= EXACT_MAX) || v != (double)(int64_t)v)
		return false;
	*ret = (int64_t)v;
	return true;
}
