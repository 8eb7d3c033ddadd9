/* SPDX-License-Identifier: Apache-2.0 */
#include "config/properties.h"

#include <errno.h>

#include "base/utf8.h"

#define BYTE_ORDER_MARK SLICE("\xef\xbb\xbf")

void properties_init(struct properties *p, struct slice text)
{
	*p = (struct properties){ .rest = text, .line = 1 };
	buf_init(&p->logical, PROPERTIES_TEXT_MAX);
	buf_init(&p->key, PROPERTIES_TEXT_MAX);
	buf_init(&p->value, PROPERTIES_TEXT_MAX);
	if (slice_starts(text, BYTE_ORDER_MARK))
		p->rest = slice_make(text.p + BYTE_ORDER_MARK.n, text.n - BYTE_ORDER_MARK.n);
}

void properties_finish(struct properties *p)
{
	buf_finish(&p->logical);
	buf_finish(&p->key);
	buf_finish(&p->value);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\f';
}

static struct slice skip_blanks(struct slice s)
{
	while (s.n && is_blank(*s.p))
		s = slice_make(s.p + 1, s.n - 1);
	return s;
}

/* Takes one line of the file, without its end, which is \n, \r or both. */
static struct slice take_line(struct properties *p)
{
	struct slice s = p->rest;
	size_t n = 0, end;

	while (n < s.n && s.p[n] != '\n' && s.p[n] != '\r')
		n++;
	end = n;
	if (end < s.n)
		end += end + 1 < s.n && s.p[end] == '\r' && s.p[end + 1] == '\n' ? 2 : 1;
	p->rest = slice_make(s.p + end, s.n - end);
	p->line++;
	return skip_blanks(slice_make(s.p, n));
}

static bool goes_on(struct slice line)
{
	size_t slashes = 0;

	while (slashes < line.n && line.p[line.n - 1 - slashes] == '\\')
		slashes++;
	return slashes % 2;
}

/* Joins a line and those that continue it; false at the end of the text. */
static bool take_logical_line(struct properties *p, unsigned *ret_line)
{
	struct slice line = SLICE_NULL;

	do {
		if (!p->rest.n)
			return false;
		*ret_line = p->line;
		line = take_line(p);
	} while (!line.n || *line.p == '#' || *line.p == '!');

	buf_clear(&p->logical);
	while (goes_on(line)) {
		buf_append(&p->logical, line.p, line.n - 1);
		if (!p->rest.n)
			return true;
		line = take_line(p);
	}
	buf_put_slice(&p->logical, line);
	return true;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "\uXXXX" at the front: its value, or -1. */
static int32_t unicode_escape(struct slice s)
{
	int32_t v = 0;

	if (s.n < 6 || s.p[0] != '\\' || s.p[1] != 'u')
		return -1;
	for (unsigned i = 2; i < 6; i++) {
		int d = hex_digit(s.p[i]);

		if (d < 0)
			return -1;
		v = v << 4 | d;
	}
	return v;
}

static void put_utf8(struct buf *out, uint32_t c)
{
	if (c < 0x80) {
		buf_putc(out, (char)c);
		return;
	}
	if (c < 0x800) {
		buf_putc(out, (char)(0xc0 | c >> 6));
	} else if (c < 0x10000) {
		buf_putc(out, (char)(0xe0 | c >> 12));
		buf_putc(out, (char)(0x80 | (c >> 6 & 0x3f)));
	} else {
		buf_putc(out, (char)(0xf0 | c >> 18));
		buf_putc(out, (char)(0x80 | (c >> 12 & 0x3f)));
		buf_putc(out, (char)(0x80 | (c >> 6 & 0x3f)));
	}
	buf_putc(out, (char)(0x80 | (c & 0x3f)));
}

/* Eats one \uXXXX, or two that are a surrogate pair. */
static int put_unicode(struct buf *out, struct slice *s, struct buf *why)
{
	int32_t c = unicode_escape(*s), low;

	if (c <= 0) {
		buf_puts(why, c ? "\\u must be followed by four hexadecimal digits"
				: "\\u0000 is not allowed");
		return -EINVAL;
	}
	*s = slice_make(s->p + 6, s->n - 6);
	if (c >= 0xd800 && c < 0xe000) {
		low = unicode_escape(*s);
		if (c < 0xdc00 && low >= 0xdc00 && low < 0xe000) {
			c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
			*s = slice_make(s->p + 6, s->n - 6);
		} else {
			c = 0xfffd;
		}
	}
	put_utf8(out, (uint32_t)c);
	return 0;
}

static char escaped_char(char c)
{
	switch (c) {
	case 't':
		return '\t';
	case 'n':
		return '\n';
	case 'r':
		return '\r';
	case 'f':
		return '\f';
	default:
		return c;
	}
}

static bool ends_key(char c)
{
	return c == '=' || c == ':' || is_blank(c);
}

/* Unescapes up to the end, or with `key` to the first separator that is not escaped. */
static int unescape(struct slice *s, bool key, struct buf *out, struct buf *why)
{
	int r;

	buf_clear(out);
	while (s->n && !(key && ends_key(*s->p))) {
		if (*s->p != '\\') {
			buf_putc(out, *s->p);
			*s = slice_make(s->p + 1, s->n - 1);
		} else if (s->n < 2) {
			*s = slice_make(s->p + 1, 0);
		} else if (s->p[1] == 'u') {
			r = put_unicode(out, s, why);
			if (r < 0)
				return r;
		} else {
			buf_putc(out, escaped_char(s->p[1]));
			*s = slice_make(s->p + 2, s->n - 2);
		}
	}
	return 0;
}

int properties_next(struct properties *p, struct property *ret, struct buf *why)
{
	struct slice s;
	int r;

	*ret = (struct property){ 0 };
	if (!take_logical_line(p, &ret->line))
		return 0;
	s = buf_slice(&p->logical);
	if (buf_overflowed(&p->logical)) {
		buf_printf(why, "longer than %zu bytes", PROPERTIES_TEXT_MAX);
		return -EINVAL;
	}
	if (s.n && memchr(s.p, 0, s.n)) {
		buf_puts(why, "a zero byte is not allowed");
		return -EINVAL;
	}
	r = unescape(&s, true, &p->key, why);
	if (r < 0)
		return r;
	s = skip_blanks(s);
	if (s.n && (*s.p == '=' || *s.p == ':'))
		s = skip_blanks(slice_make(s.p + 1, s.n - 1));
	r = unescape(&s, false, &p->value, why);
	if (r < 0)
		return r;
	ret->key = buf_slice(&p->key);
	ret->value = buf_slice(&p->value);
	return 1;
}

struct slice environment_get(char *const *environment, struct slice name)
{
	for (; environment && *environment; environment++) {
		struct slice e = slice_str(*environment);

		if (e.n > name.n && e.p[name.n] == '=' && slice_starts(e, name))
			return slice_make(e.p + name.n + 1, e.n - name.n - 1);
	}
	return SLICE_NULL;
}

/* Length of "$$NAME$$" at the front, 0 if it is not one. */
static size_t reference_length(struct slice s)
{
	size_t n = 2;

	if (!slice_starts(s, SLICE("$$")))
		return 0;
	while (n < s.n && s.p[n] != '$' && (unsigned char)s.p[n] > ' ' && s.p[n] != '=')
		n++;
	return n > 2 && n + 1 < s.n && s.p[n] == '$' && s.p[n + 1] == '$' ? n + 2 : 0;
}

int properties_expand(struct slice value, char *const *environment, struct buf *out,
		      struct buf *why)
{
	while (value.n) {
		size_t n = reference_length(value);
		struct slice name, found;

		if (!n) {
			buf_putc(out, *value.p);
			value = slice_make(value.p + 1, value.n - 1);
			continue;
		}
		name = slice_make(value.p + 2, n - 4);
		found = environment_get(environment, name);
		if (!found.p) {
			buf_printf(why, "Invalid Environment Variable %.*s", SLICE_ARG(name));
			return -EINVAL;
		}
		buf_put_slice(out, found);
		value = slice_make(value.p + n, value.n - n);
	}
	return buf_overflowed(out) ? -ENOBUFS : 0;
}

/* Java reads its files as Latin-1: everything else is escaped. */
static void put_unicode_escape(struct buf *out, uint32_t c)
{
	if (c >= 0x10000) {
		buf_printf(out, "\\u%04x", 0xd800 + ((c - 0x10000) >> 10));
		c = 0xdc00 + (c & 0x3ff);
	}
	buf_printf(out, "\\u%04x", c);
}

static void put_escaped(struct buf *out, struct slice s, bool key)
{
	for (size_t i = 0; i < s.n; i++) {
		uint32_t wide;
		size_t n = utf8_char(slice_make(s.p + i, s.n - i), &wide);
		char c = s.p[i];

		if (n > 1) {
			put_unicode_escape(out, wide);
			i += n - 1;
			continue;
		}
		if (c == '\n' || c == '\r' || c == '\t' || c == '\f') {
			buf_putc(out, '\\');
			c = c == '\n' ? 'n' : c == '\r' ? 'r' : c == '\t' ? 't' : 'f';
		} else if (c == '\\' || (c == ' ' && (key || i == 0)) ||
			   (key && (ends_key(c) || c == '#' || c == '!'))) {
			buf_putc(out, '\\');
		}
		buf_putc(out, c);
	}
}

void properties_put(struct buf *out, struct slice key, struct slice value)
{
	put_escaped(out, key, true);
	buf_putc(out, '=');
	put_escaped(out, value, false);
	buf_putc(out, '\n');
}
