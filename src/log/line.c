/* SPDX-License-Identifier: Apache-2.0 */
#include "log/line.h"

#include <assert.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "base/util.h"

#define LINE_CUT "..."
#define LINE_EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

/* Breaking a second down into a local date costs a microsecond; so once per second and thread. */
struct line_clock {
	bool valid;
	time_t second;
	char text[LINE_DATE_LEN];
};

static void line_digits(char *p, unsigned digits, unsigned v)
{
	while (digits--) {
		p[digits] = (char)('0' + v % 10);
		v /= 10;
	}
}

static void line_clock_set(struct line_clock *c, time_t second)
{
	struct tm t = { 0 };

	localtime_r(&second, &t);
	memcpy(c->text, "0000-00-00T00:00:00,000", LINE_DATE_LEN);
	line_digits(c->text, 4, (unsigned)(t.tm_year + 1900));
	line_digits(c->text + 5, 2, (unsigned)(t.tm_mon + 1));
	line_digits(c->text + 8, 2, (unsigned)t.tm_mday);
	line_digits(c->text + 11, 2, (unsigned)t.tm_hour);
	line_digits(c->text + 14, 2, (unsigned)t.tm_min);
	line_digits(c->text + 17, 2, (unsigned)t.tm_sec);
	c->second = second;
	c->valid = true;
}

static void line_put_date(struct line *l, uint64_t wall_ns)
{
	static _Thread_local struct line_clock clock;
	time_t second = (time_t)(wall_ns / NS_PER_S);

	if (!clock.valid || clock.second != second)
		line_clock_set(&clock, second);
	memcpy(l->p, clock.text, LINE_DATE_LEN);
	line_digits(l->p + LINE_DATE_LEN - 3, 3, (unsigned)(wall_ns % NS_PER_S / NS_PER_MS));
	l->n = LINE_DATE_LEN;
}

/* In l->p with room for the head and `text` bytes. */
static void line_begin_in(struct line *l, size_t text, enum log_level level, struct slice thread,
			  struct slice logger, uint64_t wall_ns)
{
	static const struct slice levels[] = {
		[LOG_ERROR] = { " [ERROR] ", 9 },
		[LOG_WARN] = { " [WARN ] ", 9 },
		[LOG_INFO] = { " [INFO ] ", 9 },
		[LOG_DEBUG] = { " [DEBUG] ", 9 },
	};

	assert((unsigned)level <= LOG_DEBUG);
	l->cut = false;
	l->end = LINE_HEAD + text - sizeof(LINE_CUT);
	line_put_date(l, wall_ns);
	line_put(l, levels[level]);
	line_put_escaped(l, thread, LINE_NAME_MAX, false);
	line_put(l, SLICE(" "));
	line_put_escaped(l, logger, LINE_NAME_MAX, false);
	l->cut = false;
	l->tail = l->n;
	l->end = l->n + text;
	line_put(l, SLICE(" - "));
}

void line_begin(struct line *l, enum log_level level, struct slice thread, struct slice logger,
		uint64_t wall_ns)
{
	l->p = l->own;
	line_begin_in(l, LINE_TEXT_MAX, level, thread, logger, wall_ns);
}

void line_begin_long(struct line *l, size_t text, enum log_level level, struct slice thread,
		     struct slice logger, uint64_t wall_ns)
{
	/* An escape may take four bytes for one. */
	size_t room = MIN(text, LINE_LONG_MAX / 4) * 4;

	room = MAX(room, LINE_TEXT_MAX);
	l->p = room == LINE_TEXT_MAX ? l->own : mem_alloc(LINE_HEAD + room);
	line_begin_in(l, room, level, thread, logger, wall_ns);
}

void line_finish(struct line *l)
{
	if (l->p != l->own)
		free(l->p);
	l->p = l->own;
}

/* There is always room for the mark: `end` and LINE_ROOM leave it. */
static void line_mark_cut(struct line *l)
{
	memcpy(l->p + l->n, LINE_CUT, strlen(LINE_CUT));
	l->n += strlen(LINE_CUT);
	l->cut = l->n > l->end;
}

void line_put_cut(struct line *l, struct slice s)
{
	size_t room = l->end - l->n;

	if (l->cut)
		return;
	memcpy(l->p + l->n, s.p, room);
	l->n += room;
	line_mark_cut(l);
}

void line_put_u64(struct line *l, uint64_t v)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + v % 10);
	} while (v /= 10);
	line_put(l, slice_make(digits + at, sizeof(digits) - at));
}

/* Bytes that need a second look; most lines have none. */
static const bool line_suspects[256] = {
	[0x00 ... 0x08] = true, [0x0a ... 0x1f] = true, [0x7f ... 0xff] = true,
	['"'] = true,           ['\\'] = true,
};

/* U+0080 to U+009F: control characters too, for a terminal that reads UTF-8. */
static bool line_is_c1(struct slice s)
{
	return s.n > 1 && (unsigned char)s.p[0] == 0xc2 && ((unsigned char)s.p[1] & 0xe0) == 0x80;
}

/* Bytes of the character at the front that may stay as they are; 0: none. */
static size_t line_clean_char(struct slice s, bool quoted)
{
	unsigned char c = (unsigned char)*s.p;

	if (!line_suspects[c])
		return 1;
	if (c == '"' || c == '\\')
		return quoted ? 0 : 1;
	return c < 0x80 || line_is_c1(s) ? 0 : utf8_char(s, NULL);
}

/* In each byte of a word the highest bit is set where the byte of `w` is zero (and perhaps in those
 * above it, which is why any bit at all sends us to look byte by byte). */
static uint64_t line_zero_bytes(uint64_t w)
{
	return (w - LINE_EACH(0x01)) & ~w & LINE_EACH(0x80);
}

/* Printable ASCII but for quotes and backslashes, which most lines are made of. */
static bool line_plain_word(const char *p)
{
	uint64_t w, below;

	memcpy(&w, p, sizeof(w));
	below = (w - LINE_EACH(0x20)) & ~w;
	return !((w | below) & LINE_EACH(0x80)) && !line_zero_bytes(w ^ LINE_EACH(0x7f)) &&
	       !line_zero_bytes(w ^ LINE_EACH('"')) && !line_zero_bytes(w ^ LINE_EACH('\\'));
}

/* Bytes at the front of `s` that may be copied as they are. */
static size_t line_clean_run(struct slice s, bool quoted)
{
	size_t i = 0, n;

	while (s.n - i >= sizeof(uint64_t) && line_plain_word(s.p + i))
		i += sizeof(uint64_t);
	/* The rest together with what has been looked at. */
	if (i < s.n && s.n >= sizeof(uint64_t) && s.n - i < sizeof(uint64_t) &&
	    line_plain_word(s.p + s.n - sizeof(uint64_t)))
		return s.n;
	while (i < s.n && (n = line_clean_char(slice_make(s.p + i, s.n - i), quoted)))
		i += n;
	return i;
}

static size_t line_escape(char out[4], unsigned char c)
{
	static const char hex[] = "0123456789abcdef";

	out[0] = '\\';
	if (c == '\n' || c == '\r' || c == '"' || c == '\\') {
		out[1] = c == '\n' ? 'n' : c == '\r' ? 'r' : (char)c;
		return 2;
	}
	out[1] = 'x';
	out[2] = hex[c >> 4];
	out[3] = hex[c & 15];
	return 4;
}

/* A cut within a character would make the file unreadable as UTF-8. */
static size_t line_whole_chars(const char *p, size_t n)
{
	size_t at = n;

	while (at > 0 && n - at < 3 && ((unsigned char)p[at] & 0xc0) == 0x80)
		at--;
	return ((unsigned char)p[at] & 0xc0) == 0xc0 ? at : n;
}

/* Escapes one byte at the front of *s, or both of a two-byte control character; what is no
 * character becomes U+FFFD, so that the file stays readable as UTF-8. */
static bool line_put_escape(struct line *l, struct slice *s, size_t limit)
{
	size_t bytes = line_is_c1(*s) ? 2 : 1, n = 0;
	char text[8];

	if (bytes == 1 && (unsigned char)*s->p >= 0x80) {
		n = UTF8_REPLACEMENT.n;
		memcpy(text, UTF8_REPLACEMENT.p, n);
	} else {
		for (size_t i = 0; i < bytes; i++)
			n += line_escape(text + n, (unsigned char)s->p[i]);
	}
	if (n > limit - l->n)
		return false;
	memcpy(l->p + l->n, text, n);
	l->n += n;
	*s = slice_make(s->p + bytes, s->n - bytes);
	return true;
}

void line_put_escaped(struct line *l, struct slice s, size_t max, bool quoted)
{
	size_t limit;

	if (l->cut)
		return;
	limit = max < l->end - l->n ? l->n + max : l->end;
	while (s.n) {
		size_t run = line_clean_run(s, quoted);
		size_t n = run <= limit - l->n ? run : line_whole_chars(s.p, limit - l->n);

		memcpy(l->p + l->n, s.p, n);
		l->n += n;
		s = slice_make(s.p + n, s.n - n);
		if (n < run || (s.n && !line_put_escape(l, &s, limit))) {
			line_mark_cut(l);
			return;
		}
	}
}

void line_end(struct line *l)
{
	assert(l->n <= l->end + strlen(LINE_CUT));
	l->p[l->n++] = '\n';
}
