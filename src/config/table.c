/* SPDX-License-Identifier: Apache-2.0 */

/* Finding a row of the table, and the way between a field and its text. */
#include "config/table.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/number.h"

#define SHOWN_MAX ((size_t)64) /* of a bad value, in messages */

const struct setting *setting_at(unsigned i)
{
	if (i < settings_torchserve_count)
		return &settings_torchserve[i];
	i -= settings_torchserve_count;
	return i < settings_own_count ? &settings_own[i] : NULL;
}

unsigned setting_index(const struct setting *t)
{
	if (t >= settings_own && t < settings_own + settings_own_count)
		return settings_torchserve_count + (unsigned)(t - settings_own);
	return (unsigned)(t - settings_torchserve);
}

const struct setting_info *settings_info(unsigned i)
{
	const struct setting *t = setting_at(i);

	return t ? &t->info : NULL;
}

bool setting_is_own(const struct setting *t)
{
	return setting_index(t) >= settings_torchserve_count;
}

const struct setting *setting_find(struct slice key)
{
	const struct setting *t;

	for (unsigned i = 0; (t = setting_at(i)); i++)
		if (slice_eq(slice_str(t->info.key), key))
			return t;
	return NULL;
}

const struct setting *setting_find_flag(struct slice key)
{
	const struct setting *t;
	bool same;

	for (unsigned i = 0; (t = setting_at(i)); i++) {
		same = key.n == strlen(t->info.key);
		for (size_t k = 0; same && k < key.n; k++)
			same = (key.p[k] == '-' ? '_' : key.p[k]) == t->info.key[k];
		if (same)
			return t;
	}
	return NULL;
}

bool setting_key_resembles(struct slice a, struct slice b)
{
	return a.n == b.n && slice_distance(a, b, 1) == 0;
}

const struct setting *setting_nearest(struct slice key)
{
	const struct setting *t, *best = NULL;
	unsigned least = (unsigned)MAX((size_t)2, key.n / 4) + 1;

	if (key.n < 3)
		return NULL;
	for (unsigned i = 0; (t = setting_at(i)); i++) {
		/* Neither case nor '-' for '_' counts. */
		unsigned d = slice_distance(key, slice_str(t->info.key), least);

		if (d < least) {
			least = d;
			best = t;
		}
	}
	return best;
}

void setting_put_shown(struct buf *why, struct slice s)
{
	size_t n = MIN(s.n, SHOWN_MAX);

	buf_putc(why, '\'');
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		buf_putc(why, c < 0x20 || c == 0x7f ? '?' : (char)c);
	}
	buf_puts(why, n < s.n ? "...'" : "'");
}

static int refuse(const struct setting *t, struct slice value, const char *problem, struct buf *why)
{
	setting_put_shown(why, value);
	buf_printf(why, " %s; allowed: %s", problem, t->info.allowed);
	return -EINVAL;
}

static bool parse_bool(struct slice s, bool *ret)
{
	*ret = slice_ieq(s, SLICE("true"));
	return *ret || slice_ieq(s, SLICE("false"));
}

/* "64m", "1g", "1G", "512kb", "2GiB": powers of 1024. */
static bool parse_size(struct slice s, uint64_t *ret)
{
	static const char units[] = "kmgt";
	const char *unit;
	uint64_t v;
	unsigned shift;

	if (s.n > 2 && slice_ieq(slice_make(s.p + s.n - 2, 2), SLICE("ib")))
		s.n -= 2;
	else if (s.n > 1 && (s.p[s.n - 1] | 0x20) == 'b')
		s.n -= 1;
	unit = s.n ? memchr(units, s.p[s.n - 1] | 0x20, 4) : NULL;
	shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
	if (unit)
		s = slice_trim(slice_make(s.p, s.n - 1));
	if (!slice_u64(s, &v) || v > UINT64_MAX >> shift)
		return false;
	*ret = v << shift;
	return true;
}

/* Digits with an optional fraction; the locale has no say. */
static bool parse_decimal(struct slice s, double *ret)
{
	struct slice whole = slice_cut(&s, '.');
	uint64_t a = 0, b = 0;

	if (!slice_u64(whole, &a) || s.n > 18 || (s.n && !slice_u64(s, &b)))
		return false;
	*ret = (double)a + (double)b / pow(10, (double)s.n);
	return true;
}

static bool parse_number(enum setting_type type, struct slice s, uint64_t *ret)
{
	int64_t whole;

	if (type == SETTING_SIZE ? parse_size(s, ret) : slice_u64(s, ret))
		return true;
	if (!number_from_text(s, &whole) || whole < 0)
		return false;
	*ret = (uint64_t)whole;
	return true;
}

static int set_number(const struct setting *t, struct settings *s, struct slice value,
		      struct buf *why)
{
	struct slice allowed = slice_str(t->info.allowed);
	uint64_t v, min, max;
	int64_t whole;
	bool known;

	known = parse_number(t->type, slice_cut(&allowed, '.'), &min);
	known = known && parse_number(t->type, slice_make(allowed.p + 1, allowed.n - 1), &max);
	assert(known);
	if (!parse_number(t->type, value, &v)) {
		bool number = number_from_text(value, &whole);

		return refuse(t, value,
			      number                    ? "is out of range"
			      : t->type == SETTING_SIZE ? "is not a size"
							: "is not a number",
			      why);
	}
	if (v < min || v > max)
		return refuse(t, value, "is out of range", why);
	*(uint64_t *)setting_field(t, s) = v;
	return 0;
}

static int set_decimal(const struct setting *t, struct settings *s, struct slice value,
		       struct buf *why)
{
	struct slice allowed = slice_str(t->info.allowed);
	double v, max;
	bool known;

	slice_cut(&allowed, '.');
	known = parse_decimal(slice_make(allowed.p + 1, allowed.n - 1), &max);
	assert(known);
	if (!parse_decimal(value, &v))
		return refuse(t, value, "is not a number", why);
	if (v > max)
		return refuse(t, value, "is out of range", why);
	*(double *)setting_field(t, s) = v;
	return 0;
}

static int set_bool(const struct setting *t, struct settings *s, struct slice value,
		    struct buf *why)
{
	bool v;

	if (!parse_bool(value, &v))
		return refuse(t, value, "is not a truth value", why);
	*(bool *)setting_field(t, s) = v;
	return 0;
}

static int set_tristate(const struct setting *t, struct settings *s, struct slice value,
			struct buf *why)
{
	enum tristate *field = setting_field(t, s);
	bool v;

	if (slice_ieq(value, SLICE("auto")))
		*field = TRISTATE_AUTO;
	else if (parse_bool(value, &v))
		*field = v ? TRISTATE_ON : TRISTATE_OFF;
	else if (slice_ieq(value, SLICE("on")) || slice_ieq(value, SLICE("off")))
		*field = slice_ieq(value, SLICE("on")) ? TRISTATE_ON : TRISTATE_OFF;
	else
		return refuse(t, value, "is not a choice", why);
	return 0;
}

static int set_text(const struct setting *t, struct settings *s, struct slice value,
		    _unused_ struct buf *why)
{
	char **field = setting_field(t, s);

	free(*field);
	*field = value.n || t->keep_empty ? slice_dup(slice_make(value.p ? value.p : "", value.n))
					  : NULL;
	return 0;
}

static int set_choice(const struct setting *t, struct settings *s, struct slice value,
		      struct buf *why)
{
	struct slice allowed = slice_str(t->info.allowed), choice;

	while (allowed.n) {
		choice = slice_cut(&allowed, '|');
		if (slice_ieq(choice, value))
			return set_text(t, s, choice, why);
	}
	return refuse(t, value, "is not a choice", why);
}

/* What stands behind the host: nothing, or a colon and a port. */
static bool valid_port(struct slice s)
{
	uint64_t port;

	return !s.n ||
	       (*s.p == ':' && slice_u64(slice_make(s.p + 1, s.n - 1), &port) && port <= 65535);
}

static bool valid_host(struct slice s)
{
	ptrdiff_t end;

	if (s.n && *s.p == '[') {
		end = slice_find(s, ']');
		return end > 1 && valid_port(slice_make(s.p + end + 1, s.n - (size_t)end - 1));
	}
	end = slice_find(s, ':');
	if (end < 0)
		end = (ptrdiff_t)s.n;
	return end > 0 && slice_find(s, '/') < 0 &&
	       valid_port(slice_make(s.p + end, s.n - (size_t)end));
}

static int set_address(const struct setting *t, struct settings *s, struct slice value,
		       struct buf *why)
{
	static const struct slice http = SLICE("http://"), local = SLICE("unix:");

	if (slice_istarts(value, SLICE("https://")))
		return refuse(t, value, "needs TLS, which is not served by this version", why);
	if (slice_starts(value, http) && valid_host(slice_make(value.p + http.n, value.n - http.n)))
		return set_text(t, s, value, why);
	/* The longest path that fits a socket's address. */
	if (slice_starts(value, local) && value.n > local.n && value.n - local.n < 108)
		return set_text(t, s, value, why);
	return refuse(t, value, "is not an address", why);
}

static int (*const setters[SETTING_TYPES])(const struct setting *, struct settings *, struct slice,
					   struct buf *) = {
	[SETTING_TEXT] = set_text,         [SETTING_BOOL] = set_bool,
	[SETTING_TRISTATE] = set_tristate, [SETTING_NUMBER] = set_number,
	[SETTING_SIZE] = set_number,       [SETTING_DECIMAL] = set_decimal,
	[SETTING_CHOICE] = set_choice,     [SETTING_ADDRESS] = set_address,
};

int setting_parse(const struct setting *t, struct settings *s, struct slice value, struct buf *why)
{
	return setters[t->type](t, s, slice_trim(value), why);
}

/* As few digits as say the same; the fraction that parse_decimal() takes. */
static void format_decimal(double v, struct buf *out)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "%.6f", v);

	assert(n > 0 && (size_t)n < sizeof(text));
	while (text[n - 1] == '0')
		n--;
	if (text[n - 1] == '.')
		n--;
	buf_append(out, text, (size_t)n);
}

bool setting_format(const struct setting *t, const struct settings *s, struct buf *out)
{
	static const char *const tristates[] = { "false", "true", "auto" };
	const void *field = setting_field_const(t, s);
	const char *text;

	switch (t->type) {
	case SETTING_BOOL:
		buf_puts(out, *(const bool *)field ? "true" : "false");
		return true;
	case SETTING_TRISTATE:
		buf_puts(out, tristates[*(const enum tristate *)field]);
		return true;
	case SETTING_NUMBER:
	case SETTING_SIZE:
		buf_put_u64(out, *(const uint64_t *)field);
		return true;
	case SETTING_DECIMAL:
		format_decimal(*(const double *)field, out);
		return true;
	default:
		text = *(char *const *)field;
		if (text)
			buf_puts(out, text);
		return text;
	}
}
