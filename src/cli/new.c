/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

/* `sconce new`: a folder with a handler, its configuration and its test, from a template. */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/util.h"
#include "cli/printable.h"
#include "fleet/fleet.h"

#define PROGRAM "sconce new"
#define NEW_FILE_MAX ((size_t)65536)

struct new_args {
	const char *name, *template;
};

#define AT(field) offsetof(struct new_args, field)

static const struct option rows[] = {
	{ "NAME", NULL, OPTION_OPERAND, AT(name), "DIR", "the folder to make, and the model's name",
	  .required = true },
	{ "--template", "-t", OPTION_TEXT, AT(template), "image|text|tabular|tensor|stream|batch",
	  "what the handler is to do (default: text)" },
};

const struct options new_command = {
	.program = PROGRAM,
	.about = "Makes a folder with a handler that works, its model-config.yaml and its test,\n"
		 "to be changed into yours.",
	.rows = rows,
	.n = ARRAY_LEN(rows),
};

static const char *const new_files[] = { "handler.py", "model-config.yaml", "test_handler.py" };

static int new_complain(const char *what, const char *why)
{
	printable_printf(stderr, PROGRAM ": error: %s: %s\n", what, why);
	return 1;
}

/* The licence of a template is not its copy's. */
static struct slice new_content(const struct buf *text)
{
	struct slice rest = buf_slice(text), after = rest, line = slice_cut(&after, '\n');

	return slice_starts(line, SLICE("# SPDX-")) && after.p ? after : rest;
}

static int new_copy(const char *from, const char *to, const char *name)
{
	_cleanup_(freep) char *source = mem_printf("%s/%s", from, name);
	_cleanup_(freep) char *target = mem_printf("%s/%s", to, name);
	_cleanup_(buf_finish) struct buf text = BUF_INIT(NEW_FILE_MAX);
	int r = file_read(source, &text);

	if (r < 0)
		return new_complain(source, strerror(-r));
	r = file_write_atomic(target, new_content(&text), 0644);
	return r < 0 ? new_complain(target, strerror(-r)) : 0;
}

int new_main(int argc, char **argv)
{
	struct new_args a = { .template = "text" };
	_cleanup_(freep) char *packages = NULL, *from = NULL;
	int r = options_parse(&new_command, &a, argc, argv);

	if (r >= 0)
		return r;
	packages = fleet_packages();
	if (!packages)
		return new_complain("templates", "the packages of this server were not found: "
						 "reinstall it, or set SCONCE_PYTHON_PATH");
	from = mem_printf("%s/sconce/templates/%s", packages, a.template);
	if (mkdir(a.name, 0777) < 0)
		return new_complain(a.name, strerror(errno));
	for (size_t i = 0; i < ARRAY_LEN(new_files); i++)
		if (new_copy(from, a.name, new_files[i]))
			return 1;
	printable_printf(stdout,
			 "Made %s with handler.py, model-config.yaml and test_handler.py. Next:\n"
			 "  sconce dev %s\n"
			 "  sconce call %s FILE\n"
			 "  pytest %s\n",
			 a.name, a.name, strrchr(a.name, '/') ? strrchr(a.name, '/') + 1 : a.name,
			 a.name);
	return 0;
}
