/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/printable.h"

#include <stdarg.h>
#include <string.h>

#include "base/mem.h"

#define PRINTABLE_MAX ((size_t)256 << 20)

void printable_print(FILE *out, const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text, next = (unsigned char)text[1];

		/* Those of one byte, and in UTF-8 those of two. */
		if (c == 0xc2 && next >= 0x80 && next < 0xa0) {
			fputc('?', out);
			text++;
		} else {
			fputc(c == '\n' || (c >= 0x20 && c != 0x7f) ? c : '?', out);
		}
	}
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
