/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

/*
 * Manual pages, from the tables that parsing and --help come from: `sconce man` lists them, `sconce
 * man PAGE` writes one, in the macros of man(7). For those who install us, not for people.
 */

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/util.h"
#include "cli/torchserve_options.h"
#include "config/settings.h"

#define MAN_NAME_MAX 128
#define MAN_PAGE_MAX ((size_t)1 << 20)

/* What a page is about: of these two, one. */
struct man_page {
	char name[MAN_NAME_MAX]; /* "sconce-models-list" */
	const char *summary;
	const struct options *options;
	const struct commands *commands;
};

/* A line of text: no letter is a macro's, a hyphen is the one that people type. */
static void man_put(struct buf *b, struct slice text)
{
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];

		if ((c == '.' || c == '\'') && (!b->n || b->p[b->n - 1] == '\n'))
			buf_puts(b, "\\&");
		if (c == '\\')
			buf_puts(b, "\\e");
		else if (c == '-')
			buf_puts(b, "\\-");
		else
			buf_putc(b, c);
	}
}

static void man_puts(struct buf *b, const char *text)
{
	man_put(b, slice_str(text));
}

static void man_begin(struct buf *b, const struct man_page *p)
{
	buf_puts(b, ".TH \"");
	for (const char *c = p->name; *c; c++)
		buf_putc(b, *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c);
	buf_puts(b, "\" 1 \"\" \"sconce " SCONCE_VERSION "\" \"sconce\"\n.SH NAME\n");
	man_puts(b, p->name);
	buf_puts(b, " \\- ");
	man_puts(b, p->summary);
	buf_putc(b, '\n');
}

/* "-o, --option VALUE" */
static void man_put_names(struct buf *b, const struct option *k)
{
	bool value = k->kind == OPTION_TEXT || k->kind == OPTION_LIST;

	buf_puts(b, ".TP\n\\fB");
	if (k->other && k->other[1] != '-') {
		man_puts(b, k->other);
		buf_puts(b, "\\fR, \\fB");
	}
	man_puts(b, k->name);
	buf_puts(b, "\\fR");
	if (k->other && k->other[1] == '-') {
		buf_puts(b, ", \\fB");
		man_puts(b, k->other);
		buf_puts(b, "\\fR");
	}
	if (value) {
		buf_puts(b, " \\fI");
		man_puts(b, k->value ? k->value : "VALUE");
		buf_printf(b, "\\fR%s", k->kind == OPTION_LIST ? " ..." : "");
	}
	buf_putc(b, '\n');
	man_puts(b, k->help);
	buf_putc(b, '\n');
}

static void man_put_options(struct buf *b, const struct options *o)
{
	buf_puts(b, ".SH SYNOPSIS\n\\fB");
	man_puts(b, o->program);
	buf_puts(b, "\\fR [\\fIoptions\\fR]");
	for (size_t i = 0; i < o->n; i++) {
		const struct option *k = &o->rows[i];

		if (!option_is_operand(k) && !k->required)
			continue;
		buf_putc(b, ' ');
		man_puts(b, k->name);
		if (!option_is_operand(k))
			buf_printf(b, " \\fI%s\\fR", k->value ? k->value : "VALUE");
		buf_puts(b, k->kind == OPTION_OPERANDS ? " ..." : "");
	}
	buf_puts(b, "\n.SH DESCRIPTION\n");
	man_puts(b, o->about);
	buf_puts(b, "\n.SH OPTIONS\n.TP\n\\fB\\-h\\fR, \\fB\\-\\-help\\fR\nprint a summary\n");
	for (size_t i = 0; i < o->n; i++)
		man_put_names(b, &o->rows[i]);
}

static void man_put_commands(struct buf *b, const struct man_page *p)
{
	const struct commands *c = p->commands;

	buf_puts(b, ".SH SYNOPSIS\n\\fB");
	man_puts(b, c->program);
	buf_puts(b, "\\fR \\fIcommand\\fR [\\fIoptions\\fR]\n.SH DESCRIPTION\n");
	man_puts(b, c->about);
	buf_puts(b, "\n.SH COMMANDS\n");
	for (size_t i = 0; i < c->n; i++) {
		if (!c->rows[i].help)
			continue;
		buf_puts(b, ".TP\n\\fB");
		man_puts(b, c->rows[i].name);
		buf_puts(b, "\\fR\n");
		man_puts(b, c->rows[i].help);
		buf_printf(b, "\n");
	}
}

static void man_put_setting(struct buf *b, const struct setting_info *info)
{
	buf_puts(b, ".TP\n\\fB\\-\\-");
	for (const char *c = info->key; *c; c++)
		man_put(b, *c == '_' ? SLICE("-") : slice_make(c, 1));
	buf_puts(b, "\\fR \\fI");
	man_puts(b, info->allowed ? info->allowed : info->type);
	buf_puts(b, "\\fR\n");
	man_puts(b, info->help);
	if (info->fallback) {
		buf_puts(b, " [default: ");
		man_puts(b, info->fallback);
		buf_putc(b, ']');
	}
	buf_putc(b, '\n');
}

static void man_put_section(struct buf *b, const char *name)
{
	buf_puts(b, ".SS ");
	man_puts(b, name);
	buf_putc(b, '\n');
}

/* Every setting is a flag of it. */
static void man_put_serve(struct buf *b)
{
	static const struct settings_style style = { man_put_section, man_put_setting };

	buf_puts(b,
		 ".SH SYNOPSIS\n\\fBsconce serve\\fR [\\fB\\-\\-config\\fR \\fIFILE\\fR] "
		 "[\\fB\\-\\-\\fIsetting\\fR \\fIVALUE\\fR ...]\n.SH DESCRIPTION\n"
		 "Settings come from (later wins): defaults, the file, SCONCE_\\fISETTING\\fR in "
		 "the environment, flags. In a file their names have underscores for hyphens.\n");
	buf_puts(b, ".SH SETTINGS\n");
	settings_write_styled(b, &style, false);
	buf_puts(b, ".SH SIGNALS\n.TP\nSIGTERM, SIGINT\nlistens no more, finishes the requests in "
		    "flight, ends; the second one does not wait for them\n.TP\nSIGHUP\nopens the "
		    "log files again\n.SH ENVIRONMENT\n.TP\nNOTIFY_SOCKET, WATCHDOG_USEC, "
		    "LISTEN_FDS, LISTEN_FDNAMES\nof systemd: it is told when models are known and "
		    "that the server is alive; its sockets are called inference, management and "
		    "metrics\n");
}

static void man_write(struct buf *b, const struct man_page *p)
{
	man_begin(b, p);
	if (p->options)
		man_put_options(b, p->options);
	else if (p->commands)
		man_put_commands(b, p);
	else
		man_put_serve(b);
	buf_puts(b, ".SH SEE ALSO\n");
	man_puts(b, strcmp(p->name, "sconce") == 0 ? "Each command has a page: sconce-serve(1), …"
						   : "sconce(1), sconce-serve(1)");
	buf_putc(b, '\n');
}

/* ---- all pages ---- */

typedef void man_visit(void *arg, const struct man_page *p);

static void man_each_command(const struct commands *c, const char *name, man_visit *visit,
			     void *arg)
{
	for (size_t i = 0; i < c->n; i++) {
		const struct command *k = &c->rows[i];
		struct man_page p = { .summary = k->help,
				      .options = k->options,
				      .commands = k->sub };

		if (!k->help || (!k->options && !k->sub && k->main != serve_main))
			continue;
		snprintf(p.name, sizeof(p.name), "%s-%s", name, k->name);
		visit(arg, &p);
		if (k->sub)
			man_each_command(k->sub, p.name, visit, arg);
	}
}

static void man_each(man_visit *visit, void *arg)
{
	const struct man_page pages[] = {
		{ "sconce", "inference server for model archives", NULL, &sconce_commands },
		{ "torchserve", "start and stop a server", &torchserve_command, NULL },
		{ "torch-model-archiver", "pack a model archive", &archiver_command, NULL },
	};

	for (size_t i = 0; i < ARRAY_LEN(pages); i++)
		visit(arg, &pages[i]);
	man_each_command(&sconce_commands, "sconce", visit, arg);
}

static void man_list(void *arg, const struct man_page *p)
{
	(void)arg;
	puts(p->name);
}

struct man_search {
	const char *name;
	bool found;
};

static void man_print(void *arg, const struct man_page *p)
{
	_cleanup_(buf_finish) struct buf b = BUF_INIT(MAN_PAGE_MAX);
	struct man_search *s = arg;

	if (strcmp(p->name, s->name) != 0)
		return;
	s->found = true;
	man_write(&b, p);
	fwrite(b.p, 1, b.n, stdout);
}

int man_main(int argc, char **argv)
{
	struct man_search s = { .name = argc > 1 ? argv[1] : NULL };

	if (!s.name) {
		man_each(man_list, NULL);
		return 0;
	}
	man_each(man_print, &s);
	if (s.found)
		return 0;
	fprintf(stderr, "sconce man: there is no such page; without a name it lists them\n");
	return 2;
}
