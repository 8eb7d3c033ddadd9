/* SPDX-License-Identifier: Apache-2.0 */
#include "config/yaml_scalar.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define NUMBER_MAX ((size_t)256) /* longer ones stay strings */
#define DIGITS "0123456789"

static bool is_one_of(struct slice s, const char *const *words)
{
	for (; *words; words++)
		if (slice_eq(s, slice_str(*words)))
			return true;
	return false;
}

static bool resolve_null(struct yaml *y, struct slice s)
{
	static const char *const words[] = { "", "~", "null", "Null", "NULL", NULL };

	if (!is_one_of(s, words))
		return false;
	y->kind = YAML_NULL;
	return true;
}

static bool resolve_bool(struct yaml *y, struct slice s)
{
	static const char *const yes[] = { "yes",  "Yes", "YES", "true", "True",
					   "TRUE", "on",  "On",  "ON",   NULL };
	static const char *const no[] = { "no",    "No",  "NO",  "false", "False",
					  "FALSE", "off", "Off", "OFF",   NULL };

	y->boolean = is_one_of(s, yes);
	if (!y->boolean && !is_one_of(s, no))
		return false;
	y->kind = YAML_BOOL;
	return true;
}

/* The text is NUL-terminated from here on; each function eats what it knows. */
static size_t span_digits(const char *p)
{
	return *p >= '0' && *p <= '9' ? strspn(p, DIGITS "_") : 0;
}

/* ":59:59" behind the first part of a sexagesimal; 0 if that is not what is there. */
static size_t span_sexagesimal(const char *p)
{
	size_t n = 0;

	while (p[n] == ':') {
		size_t digits = strspn(p + n + 1, DIGITS);

		if (!digits || digits > 2 || (digits == 2 && p[n + 1] > '5'))
			return 0;
		n += digits + 1;
	}
	return n;
}

/* Underscores do not count. False when it does not fit; then *ret is the nearest double. */
static bool read_digits(const char *p, size_t n, unsigned base, uint64_t *ret, double *near)
{
	bool fits = true;
	uint64_t v = 0;
	double d = 0;

	for (size_t i = 0; i < n; i++) {
		unsigned digit;

		if (p[i] == '_')
			continue;
		digit = p[i] <= '9' ? (unsigned)(p[i] - '0') : (unsigned)((p[i] | 0x20) - 'a') + 10;
		fits = fits && !__builtin_mul_overflow(v, base, &v) &&
		       !__builtin_add_overflow(v, digit, &v);
		d = d * base + digit;
	}
	*ret = v;
	*near = d;
	return fits;
}

/* Correctly rounded; underscores do not count. */
static double read_double(const char *p, size_t n)
{
	char clean[NUMBER_MAX + 1];
	size_t out = 0;

	for (size_t i = 0; i < n; i++)
		if (p[i] != '_')
			clean[out++] = p[i];
	clean[out] = 0;
	return strtod(clean, NULL);
}

static void set_integer(struct yaml *y, bool negative, bool fits, uint64_t v, double near)
{
	if (fits && v <= (uint64_t)INT64_MAX + negative) {
		y->kind = YAML_INT;
		y->integer = negative ? (int64_t)-v : (int64_t)v;
		y->number = (double)y->integer;
	} else {
		y->kind = YAML_FLOAT;
		y->number = negative ? -near : near;
		y->beyond = "int";
	}
}

static bool has_digit(const char *p, size_t n)
{
	return strspn(p, "_") < n;
}

/* 0b101, 0x1f, 017, 42; all with an optional sign before and underscores within. */
static bool resolve_radix(struct yaml *y, bool negative, const char *p)
{
	static const struct {
		const char *prefix, *digits;
		unsigned base;
	} forms[] = {
		{ "0b", "01_", 2 },
		{ "0x", DIGITS "abcdefABCDEF_", 16 },
		{ "0", "01234567_", 8 },
	};
	uint64_t v;
	double near;
	bool fits;

	for (unsigned i = 0; i < ARRAY_LEN(forms); i++) {
		size_t n = strlen(forms[i].prefix), len;

		if (strncmp(p, forms[i].prefix, n) != 0 || !p[n])
			continue;
		len = strspn(p + n, forms[i].digits);
		/* "0_" is zero, but "0x_" is nothing. */
		if (p[n + len] || (n == 2 && !has_digit(p + n, len)))
			continue;
		fits = read_digits(p + n, len, forms[i].base, &v, &near);
		set_integer(y, negative, fits, v, near);
		return true;
	}
	if (!*p || p[span_digits(p)] || (*p == '0' && p[1]))
		return false;
	fits = read_digits(p, strlen(p), 10, &v, &near);
	set_integer(y, negative, fits, v, read_double(p, strlen(p)));
	return true;
}

/* "1:30:00" and, with a fraction, "1:30.5". */
static bool resolve_sexagesimal(struct yaml *y, bool negative, const char *p)
{
	size_t n = span_digits(p), rest = span_sexagesimal(p + n);
	const char *end = p + n + rest;
	double d, part;
	uint64_t v, digit;
	bool fits;

	if (!n || !rest || (*end && *end != '.') || (!*end && *p == '0') ||
	    (*end && end[1 + strspn(end + 1, DIGITS "_")]))
		return false;
	fits = read_digits(p, n, 10, &v, &d);
	for (const char *at = p + n; at < end; at += strspn(at + 1, DIGITS) + 1) {
		read_digits(at + 1, strspn(at + 1, DIGITS), 10, &digit, &part);
		fits = fits && !__builtin_mul_overflow(v, (uint64_t)60, &v) &&
		       !__builtin_add_overflow(v, digit, &v);
		d = d * 60 + part;
	}
	if (!*end) {
		set_integer(y, negative, fits, v, d);
		return true;
	}
	part = 1;
	for (const char *at = end + 1; *at; at++)
		if (*at != '_')
			d += (*at - '0') * (part /= 10);
	y->kind = YAML_FLOAT;
	y->number = negative ? -d : d;
	y->beyond = "float"; /* Python rounds it another way */
	return true;
}

static bool resolve_special(struct yaml *y, bool sign, bool negative, struct slice s)
{
	static const char *const inf[] = { ".inf", ".Inf", ".INF", NULL };
	static const char *const nan[] = { ".nan", ".NaN", ".NAN", NULL };

	if (is_one_of(s, inf))
		y->number = negative ? -INFINITY : INFINITY;
	else if (!sign && is_one_of(s, nan)) {
		y->number = NAN;
		y->beyond = "float";
	} else
		return false;
	y->kind = YAML_FLOAT;
	return true;
}

/* 1.5, 1., .5, 1.0e+3: a dot is needed, and an exponent has a sign. `p` is without its sign. */
static bool resolve_decimal(struct yaml *y, bool sign, bool negative, const char *p)
{
	size_t whole = span_digits(p), n = whole;

	if (p[n] != '.')
		return false;
	n++;
	if (!whole && (sign || !span_digits(p + n)))
		return false;
	n += strspn(p + n, DIGITS "_");
	if (p[n] == 'e' || p[n] == 'E') {
		size_t digits = p[n + 1] == '-' || p[n + 1] == '+' ? strspn(p + n + 2, DIGITS) : 0;

		if (!digits)
			return false;
		n += digits + 2;
	}
	if (p[n])
		return false;
	y->kind = YAML_FLOAT;
	y->number = read_double(p, n);
	y->number = negative ? -y->number : y->number;
	return true;
}

static bool resolve_number(struct yaml *y, struct slice s)
{
	char text[NUMBER_MAX + 1];
	bool sign = s.n && (*s.p == '-' || *s.p == '+'), negative = sign && *s.p == '-';
	struct slice digits = sign ? slice_make(s.p + 1, s.n - 1) : s;

	if (!digits.n || digits.n > NUMBER_MAX || memchr(digits.p, 0, digits.n))
		return false;
	memcpy(text, digits.p, digits.n);
	text[digits.n] = 0;
	return resolve_radix(y, negative, text) || resolve_decimal(y, sign, negative, text) ||
	       resolve_sexagesimal(y, negative, text) || resolve_special(y, sign, negative, digits);
}

static bool eat(const char **p, const char *set)
{
	if (!**p || !strchr(set, **p))
		return false;
	(*p)++;
	return true;
}

static bool eat_digits(const char **p, size_t min, size_t max)
{
	size_t n = strspn(*p, DIGITS);

	n = MIN(n, max);
	*p += n;
	return n >= min;
}

/* Behind a time: Z, +2, -02:30, or nothing; blanks before. */
static bool is_zone(const char *p)
{
	if (!*p)
		return true;
	p += strspn(p, " \t");
	if (eat(&p, "Z"))
		return !*p;
	return eat(&p, "-+") && eat_digits(&p, 1, 2) &&
	       (!*p || (eat(&p, ":") && eat_digits(&p, 2, 2) && !*p));
}

/* 2026-11-24, or with a time; then its parts may have one digit, and T or blanks are between. */
static bool is_timestamp(const char *text)
{
	const char *p = text;
	size_t blanks;

	if (!eat_digits(&p, 4, 4) || !eat(&p, "-") || !eat_digits(&p, 1, 2) || !eat(&p, "-") ||
	    !eat_digits(&p, 1, 2))
		return false;
	if (!*p)
		return p - text == 10;
	blanks = strspn(p, " \t");
	p += blanks;
	if ((!blanks && !eat(&p, "Tt")) || !eat_digits(&p, 1, 2) || !eat(&p, ":") ||
	    !eat_digits(&p, 2, 2) || !eat(&p, ":") || !eat_digits(&p, 2, 2))
		return false;
	if (eat(&p, "."))
		p += strspn(p, DIGITS);
	return is_zone(p);
}

static void resolve_timestamp(struct yaml *y)
{
	char text[NUMBER_MAX + 1];

	if (y->text.n > NUMBER_MAX || memchr(y->text.p, 0, y->text.n))
		return;
	memcpy(text, y->text.p, y->text.n);
	text[y->text.n] = 0;
	if (is_timestamp(text))
		y->beyond = "timestamp";
}

static void resolve_implicit(struct yaml *y)
{
	if (resolve_null(y, y->text) || resolve_bool(y, y->text) || resolve_number(y, y->text))
		return;
	y->kind = YAML_STRING;
	resolve_timestamp(y);
}

/* !!float takes what needs no dot, too. */
static void resolve_float(struct yaml *y)
{
	char text[NUMBER_MAX + 1], *end;

	if (resolve_number(y, y->text)) {
		y->kind = YAML_FLOAT;
		return;
	}
	if (!y->text.n || y->text.n > NUMBER_MAX || memchr(y->text.p, 0, y->text.n))
		return;
	memcpy(text, y->text.p, y->text.n);
	text[y->text.n] = 0;
	if (strspn(text, DIGITS "+-.eE") < y->text.n)
		return;
	y->number = strtod(text, &end);
	if (!*end)
		y->kind = YAML_FLOAT;
}

void yaml_resolve(struct yaml *y, const char *tag, bool plain)
{
	struct slice t = slice_str(tag), core = SLICE("tag:yaml.org,2002:"), name;

	y->kind = YAML_STRING;
	name = slice_starts(t, core) ? slice_make(t.p + core.n, t.n - core.n) : SLICE_NULL;
	if (slice_eq(name, SLICE("str")) || slice_eq(t, SLICE("!")))
		return;
	if (slice_eq(name, SLICE("null")))
		y->kind = YAML_NULL;
	else if (slice_eq(name, SLICE("bool")))
		resolve_bool(y, y->text);
	else if (slice_eq(name, SLICE("int"))) {
		resolve_number(y, y->text);
		y->beyond = "int"; /* by Python's rules, whatever its form */
	} else if (slice_eq(name, SLICE("float"))) {
		resolve_float(y);
		y->beyond = "float";
	} else if (slice_eq(name, SLICE("timestamp")))
		y->beyond = "timestamp";
	else if (slice_eq(name, SLICE("binary")))
		y->beyond = "binary";
	else if (plain)
		resolve_implicit(y);
}
