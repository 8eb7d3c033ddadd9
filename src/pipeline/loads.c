/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/request.h"

/* JSON as Python's json.loads() reads it, whose bytes may be in UTF-16 and UTF-32, too. */

#include <stdlib.h>
#include <string.h>

#include "base/util.h"

/* Python knows the three words beside numbers in just one spelling; yyjson in any. */
static bool words_are_pythons(struct slice text)
{
	static const struct slice words[] = { SLICE_CONST("true"), SLICE_CONST("false"),
					      SLICE_CONST("null"), SLICE_CONST("NaN"),
					      SLICE_CONST("Infinity") };
	bool quoted = false;

	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];
		size_t n = 0, w = 0;

		if (c == '"')
			quoted = !quoted;
		if (quoted && c == '\\')
			i++;
		if (quoted || !((c | 32) >= 'a' && (c | 32) <= 'z'))
			continue;
		while (i + n < text.n && (text.p[i + n] | 32) >= 'a' && (text.p[i + n] | 32) <= 'z')
			n++;
		while (w < ARRAY_LEN(words) && !slice_eq(slice_make(text.p + i, n), words[w]))
			w++;
		if (w == ARRAY_LEN(words) && !(n == 1 && (c | 32) == 'e'))
			return false;
		i += n - 1;
	}
	return true;
}

/* ---- encodings ---- */

struct encoding {
	unsigned unit; /* bytes; 1: UTF-8 */
	bool big;      /* the highest byte first */
	unsigned skip; /* bytes of a mark before the text */
};

/* By its mark, or by where the zeros are among the first bytes: json.detect_encoding(). */
static struct encoding encoding_of(struct slice s)
{
	static const struct {
		struct slice mark;
		struct encoding is;
	} marks[] = {
		{ SLICE_CONST("\x00\x00\xfe\xff"), { 4, true, 4 } },
		{ SLICE_CONST("\xff\xfe\x00\x00"), { 4, false, 4 } },
		{ SLICE_CONST("\xfe\xff"), { 2, true, 2 } },
		{ SLICE_CONST("\xff\xfe"), { 2, false, 2 } },
		{ SLICE_CONST("\xef\xbb\xbf"), { 1, false, 3 } },
	};

	for (size_t i = 0; i < ARRAY_LEN(marks); i++)
		if (slice_starts(s, marks[i].mark))
			return marks[i].is;
	if (s.n >= 4 && !s.p[0])
		return (struct encoding){ s.p[1] ? 2 : 4, true, 0 };
	if (s.n >= 4 && !s.p[1])
		return (struct encoding){ s.p[2] || s.p[3] ? 2 : 4, false, 0 };
	if (s.n == 2 && (!s.p[0] || !s.p[1]))
		return (struct encoding){ 2, !s.p[0], 0 };
	return (struct encoding){ 1, false, 0 };
}

static uint32_t unit_at(struct slice s, size_t at, const struct encoding *is)
{
	uint32_t v = 0;

	for (unsigned i = 0; i < is->unit; i++) {
		unsigned byte = (uint8_t)s.p[at + i];

		v |= byte << 8 * (is->big ? is->unit - 1 - i : i);
	}
	return v;
}

/* Half of a pair alone is none, as no text has it. */
static size_t put_utf8(char *to, uint32_t c)
{
	static const uint8_t leads[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

	for (size_t i = n; --i; c >>= 6)
		to[i] = (char)(0x80 | (c & 0x3f));
	to[0] = (char)(leads[n == 1 ? 0 : n] | c);
	return n;
}

/* In UTF-8, at most two bytes for each that there was; NULL: it is no text, or there is no memory.
 */
static char *to_utf8(struct slice s, const struct encoding *is, size_t *ret_n)
{
	char *to = s.n % is->unit ? NULL : malloc(2 * s.n + 4);
	size_t n = 0;

	for (size_t at = 0; to && at < s.n; at += is->unit) {
		uint32_t c = unit_at(s, at, is), low;

		if (is->unit == 2 && c >> 10 == 0xd800 >> 10 && at + 4 <= s.n &&
		    (low = unit_at(s, at + 2, is)) >> 10 == 0xdc00 >> 10) {
			c = 0x10000 + ((c & 0x3ff) << 10 | (low & 0x3ff));
			at += 2;
		}
		if (c > 0x10ffff || c >> 11 == 0xd800 >> 11) {
			free(to);
			return NULL;
		}
		n += put_utf8(to + n, c);
	}
	*ret_n = n;
	return to;
}

/* ---- the whole ---- */

static yyjson_doc *loads_utf8(struct slice text)
{
	char *p = (char *)(uintptr_t)(text.p ? text.p : "");
	yyjson_doc *doc = yyjson_read_opts(p, text.n, 0, NULL, NULL);

	if (doc || !words_are_pythons(text))
		return doc;
	return yyjson_read_opts(p, text.n, YYJSON_READ_ALLOW_INF_AND_NAN, NULL, NULL);
}

yyjson_doc *json_loads(struct slice text)
{
	struct encoding is = encoding_of(text);
	yyjson_doc *doc;
	size_t n = 0;
	char *utf8;

	text = slice_make(text.p + is.skip, text.n - is.skip);
	if (is.unit == 1)
		return loads_utf8(text);
	utf8 = to_utf8(text, &is, &n);
	doc = utf8 ? loads_utf8(slice_make(utf8, n)) : NULL;
	free(utf8);
	return doc;
}
