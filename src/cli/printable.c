/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/printable.h"

#include <stdarg.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"

#define PRINTABLE_MAX ((size_t)256 << 20)

/* Control characters, and those that turn the direction of writing: they make a text look like
 * another one. */
static bool printable_obeyed(uint32_t c)
{
	return (c < 0x20 && c != '\n') || (c >= 0x7f && c < 0xa0) || c == 0x61c || c == 0x200e ||
	       c == 0x200f || (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

static void printable_put(FILE *out, struct slice s)
{
	while (s.n) {
		uint32_t c;
		size_t n = utf8_char(s, &c);

		/* A terminal that does not read UTF-8 obeys single bytes, too. */
		if (!n || printable_obeyed(c))
			fputc('?', out);
		else
			fwrite(s.p, 1, n, out);
		n = MAX(n, (size_t)1);
		s = slice_make(s.p + n, s.n - n);
	}
}

void printable_print(FILE *out, const char *text)
{
	printable_put(out, slice_str(text));
}

void printable_vprintf(FILE *out, const char *fmt, va_list args)
{
	_cleanup_(freep) char *text = NULL;

	if (vasprintf(&text, fmt, args) < 0)
		text = NULL;
	printable_print(out, text);
}

void printable_printf(FILE *out, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	printable_vprintf(out, fmt, args);
	va_end(args);
}

void printable_document(FILE *out, struct slice text)
{
	if (isatty(fileno(out)))
		printable_put(out, text);
	else if (text.n)
		fwrite(text.p, 1, text.n, out);
}

/* Letters, not bytes. */
static unsigned printable_width(const char *text)
{
	unsigned n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

void printable_table_init(struct printable_table *t, unsigned columns)
{
	assert(columns <= PRINTABLE_COLUMNS);
	*t = (struct printable_table){ .cells = BUF_INIT(PRINTABLE_MAX), .columns = columns };
}

void printable_table_put(struct printable_table *t, const char *fmt, ...)
{
	unsigned column = t->n++ % t->columns;
	size_t before = t->cells.n;
	char text[4096];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	buf_append(&t->cells, text, strlen(text) + 1);
	for (char *p = t->cells.p + before; p < t->cells.p + t->cells.n - 1; p++)
		if (*p == '\n')
			*p = '?';
	t->widths[column] = MAX(t->widths[column], printable_width(text));
}

void printable_table_print(struct printable_table *t, FILE *out, int indent)
{
	const char *cell = t->cells.p;

	for (unsigned i = 0; i < t->n && !buf_overflowed(&t->cells); i++) {
		unsigned column = i % t->columns;

		if (column == 0)
			fprintf(out, "%*s", indent, "");
		printable_print(out, cell);
		if (column + 1 == t->columns)
			fputc('\n', out);
		else
			fprintf(out, "%*s", (int)(t->widths[column] - printable_width(cell)) + 2,
				"");
		cell += strlen(cell) + 1;
	}
	buf_finish(&t->cells);
	printable_table_init(t, t->columns);
}
