/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/options.h"

/* Usage and --help, 80 columns wide. */

#include <ctype.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include "base/util.h"
#include "cli/options_internal.h"
#include "cli/printable.h"

#define WIDTH 79
#define HELP_AT 26 /* column of the explanations */

static const char *option_value(const struct option *k)
{
	return k->value ? k->value : "VALUE";
}

/* One word of the usage line: [--runtime python|LSP], --model-name NAME, [MODEL]. */
static void usage_put(struct buf *b, const struct option *k)
{
	const char *name = k->other && k->other[1] != '-' ? k->other : k->name;

	if (!k->required)
		buf_putc(b, '[');
	buf_puts(b, name);
	if (k->kind == OPTION_OPERANDS)
		buf_puts(b, " ...");
	if (k->kind == OPTION_TEXT || k->kind == OPTION_LIST)
		buf_printf(b, " %s%s", option_value(k), k->kind == OPTION_LIST ? " ..." : "");
	if (!k->required)
		buf_putc(b, ']');
}

static void usage_print(const struct options *o, FILE *out)
{
	size_t column = (size_t)fprintf(out, "usage: %s [-h]", o->program);
	int indent = (int)MIN(column - 5, (size_t)40);

	for (size_t pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < o->n; i++) {
			_cleanup_(buf_finish) struct buf word = BUF_INIT(4096);

			if (option_is_operand(&o->rows[i]) != (pass == 1))
				continue;
			usage_put(&word, &o->rows[i]);
			if (column + 1 + word.n > WIDTH) {
				fprintf(out, "\n%*s", indent, "");
				column = (size_t)indent;
			}
			fprintf(out, " %s", buf_cstr(&word));
			column += 1 + word.n;
		}
	fputc('\n', out);
}

int options_error(const struct options *o, const char *fmt, ...)
{
	va_list args;

	usage_print(o, stderr);
	fprintf(stderr, "%s: error: ", o->program);
	va_start(args, fmt);
	printable_vprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	return 2;
}

/* The explanation beside or below its flag, in lines of whole words. */
static void help_wrap(const char *text, size_t column)
{
	struct slice rest = slice_str(text);
	bool first = true;

	if (column + 2 > HELP_AT) {
		putchar('\n');
		column = 0;
	}
	printf("%*s", (int)(HELP_AT - column), "");
	for (column = HELP_AT; rest.p;) {
		struct slice word = slice_cut(&rest, ' ');

		if (!first && column + 1 + word.n > WIDTH) {
			printf("\n%*s", HELP_AT, "");
			column = HELP_AT;
			first = true;
		}
		column += (size_t)printf("%s%.*s", first ? "" : " ", SLICE_ARG(word));
		first = false;
	}
	putchar('\n');
}

static void help_row(const struct option *k)
{
	_cleanup_(buf_finish) struct buf b = BUF_INIT(4096);

	buf_puts(&b, "  ");
	if (k->other && k->other[1] != '-')
		buf_printf(&b, "%s, ", k->other);
	buf_puts(&b, k->name);
	if (k->other && k->other[1] == '-')
		buf_printf(&b, ", %s", k->other);
	if (k->kind == OPTION_TEXT || k->kind == OPTION_LIST)
		buf_printf(&b, " %s%s", option_value(k), k->kind == OPTION_LIST ? " ..." : "");
	fputs(buf_cstr(&b), stdout);
	help_wrap(k->help, b.n);
}

void options_help(const struct options *o)
{
	usage_print(o, stdout);
	printf("\n%s\n\noptions:\n  -h, --help", o->about);
	help_wrap("print this text", 12);
	for (size_t pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < o->n; i++)
			if (option_is_operand(&o->rows[i]) == (pass == 0))
				help_row(&o->rows[i]);
}
