/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/lenient.h"

#include <string.h>
#include <yyjson.h>

#include "wire/json.h"

struct lenient {
	struct slice rest;
	struct buf *out;
};

static char lenient_peek(const struct lenient *l, size_t at)
{
	return at < l->rest.n ? l->rest.p[at] : '\0';
}

static void lenient_skip(struct lenient *l, size_t n)
{
	l->rest = slice_make(l->rest.p + n, l->rest.n - n);
}

/* To behind the next `end`, or to the end of all. */
static void lenient_skip_past(struct lenient *l, struct slice end)
{
	const char *p = memmem(l->rest.p, l->rest.n, end.p, end.n);

	lenient_skip(l, p ? (size_t)(p - l->rest.p) + end.n : l->rest.n);
}

static bool lenient_comment(struct lenient *l)
{
	char first = lenient_peek(l, 0), second = lenient_peek(l, 1);

	if (first == '#' || (first == '/' && second == '/'))
		lenient_skip_past(l, SLICE("\n"));
	else if (first == '/' && second == '*')
		lenient_skip_past(l, SLICE("*/"));
	else
		return false;
	return true;
}

/* A text in quotes of either kind. What is escaped stays so; the other kind of quote gets or loses
 * its backslash. */
static void lenient_quoted(struct lenient *l)
{
	char quote = l->rest.p[0];
	size_t i = 1;

	buf_putc(l->out, '"');
	for (; i < l->rest.n && l->rest.p[i] != quote; i++) {
		char c = l->rest.p[i];

		if (c == '\\' && lenient_peek(l, i + 1) == '\'')
			c = l->rest.p[++i];
		if (c == '"')
			buf_putc(l->out, '\\');
		buf_putc(l->out, c);
		if (c == '\\' && i + 1 < l->rest.n)
			buf_putc(l->out, l->rest.p[++i]);
	}
	if (i < l->rest.n)
		buf_putc(l->out, '"');
	lenient_skip(l, MIN(i + 1, l->rest.n));
}

/* A number, true, false or null: then it is as good as it stands. */
static bool lenient_is_literal(struct slice word)
{
	yyjson_doc *doc;

	/* Of most words the first letter tells; there may be very many. */
	if (!memchr("-0123456789tfn", word.p[0], 14))
		return false;
	doc = yyjson_read(word.p, word.n, 0);
	yyjson_doc_free(doc);
	return doc;
}

/* A word without quotes ends where structure or a blank begins. */
static void lenient_word(struct lenient *l)
{
	static const char ends[] = "{}[]:;,=/#\\ \t\r\n\f\"'";
	size_t n = 0;
	struct slice word;

	while (n < l->rest.n && !memchr(ends, l->rest.p[n], sizeof(ends)))
		n++;
	word = slice_make(l->rest.p, MAX(n, 1));
	if (!n)
		buf_putc(l->out, word.p[0]);
	else if (lenient_is_literal(word))
		buf_put_slice(l->out, word);
	else
		json_put_string(l->out, word);
	lenient_skip(l, word.n);
}

static void lenient_next(struct lenient *l)
{
	char c = l->rest.p[0];

	if (c == '"' || c == '\'') {
		lenient_quoted(l);
	} else if (c == '=') {
		buf_putc(l->out, ':');
		lenient_skip(l, lenient_peek(l, 1) == '>' ? 2 : 1);
	} else if (c == ';') {
		buf_putc(l->out, ',');
		lenient_skip(l, 1);
	} else if (!lenient_comment(l)) {
		lenient_word(l);
	}
}

bool lenient_rewrite(struct slice text, struct buf *out)
{
	struct lenient l = { text, out };

	while (l.rest.n && !buf_overflowed(out))
		lenient_next(&l);
	return !buf_overflowed(out);
}
