/* SPDX-License-Identifier: Apache-2.0 */
#include "base/decimal.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

static size_t decimal_digits(char *out, uint64_t v)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + v % 10);
	} while (v /= 10);
	memcpy(out, digits + at, sizeof(digits) - at);
	return sizeof(digits) - at;
}

/* Most values have few digits, and are written for every request in log mode. A quotient of two
 * exact numbers is the double nearest to these decimals, so they are the shortest that mean it.
 * 0: it is none of these. */
static size_t decimal_write_short(char *out, double v)
{
	uint64_t thousandths, rest;
	size_t n;

	if (!((v >= 0.001 && v < 1e7) || (v == 0 && !signbit(v))))
		return 0;
	thousandths = (uint64_t)(v * 1000 + 0.5);
	if ((double)thousandths / 1000 != v)
		return 0;
	rest = thousandths % 1000;
	n = decimal_digits(out, thousandths / 1000);
	out[n++] = '.';
	out[n++] = (char)('0' + rest / 100);
	if (rest % 100)
		out[n++] = (char)('0' + rest / 10 % 10);
	if (rest % 10)
		out[n++] = (char)('0' + rest % 10);
	return n;
}

static size_t decimal_text(char *out, const char *text)
{
	size_t n = strlen(text);

	memcpy(out, text, n);
	return n;
}

/* Java prints 1e-3 <= |v| < 1e7 without an exponent, and always a digit after the point. */
static size_t decimal_write_any(char *out, double v)
{
	char digits[DECIMAL_MAX], *mark;
	int precision = 0, exponent, n;

	do
		snprintf(digits, sizeof(digits), "%.*e", precision++, v);
	while (precision < 17 && strtod(digits, NULL) != v);
	mark = strchr(digits, 'e');
	exponent = (int)strtol(mark + 1, NULL, 10);
	if (exponent >= -3 && exponent < 7) {
		n = snprintf(out, DECIMAL_MAX, "%.*f", MAX(precision - 1 - exponent, 1), v);
		return (size_t)n;
	}
	*mark = '\0';
	n = snprintf(out, DECIMAL_MAX, "%s%sE%d", digits, strchr(digits, '.') ? "" : ".0",
		     exponent);
	return (size_t)n;
}

size_t decimal_write(char out[DECIMAL_MAX], double v)
{
	size_t n = decimal_write_short(out, v);

	if (n)
		return n;
	if (isnan(v) || isinf(v))
		return decimal_text(out, isnan(v) ? "NaN" : v > 0 ? "+Inf" : "-Inf");
	if (v == 0)
		return decimal_text(out, "-0.0");
	return decimal_write_any(out, v);
}
