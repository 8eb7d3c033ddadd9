/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <stdint.h>
#include <string.h>

#include "base/guess.h"
#include "base/mem.h"
#include "base/slice.h"
#include "base/util.h"
#include "cli/printable.h"

static void commands_help(const struct commands *c, FILE *out)
{
	fprintf(out, "usage: %s <command> [options]\n\n%s\n\ncommands:\n", c->program, c->about);
	for (size_t i = 0; i < c->n; i++)
		if (c->rows[i].help)
			fprintf(out, "  %-12s %s\n", c->rows[i].name, c->rows[i].help);
	fprintf(out, "\n`%s <command> --help` tells more.\n", c->program);
}

static int commands_unknown(const struct commands *c, const char *name)
{
	const struct command *best = NULL;
	struct guess g = guess_begin(slice_str(name));

	for (size_t i = 0; i < c->n; i++)
		if (c->rows[i].help && guess_next(&g, slice_str(c->rows[i].name)))
			best = &c->rows[i];
	printable_printf(stderr, "%s: there is no command '%s'", c->program, name);
	if (best)
		fprintf(stderr, "; did you mean '%s'?", best->name);
	fprintf(stderr, "\nTry `%s --help`.\n", c->program);
	return 2;
}

/* `help models list` is `models list --help`. */
static int commands_explain(const struct commands *c, int argc, char **argv)
{
	static char flag[] = "--help";
	_cleanup_(freep) char **args = mem_alloc(((size_t)argc + 1) * sizeof(*args));

	memcpy(args, argv, (size_t)argc * sizeof(*args));
	args[argc] = NULL;
	memmove(args + 1, args + 2, (size_t)(argc - 1) * sizeof(*args));
	args[argc - 1] = flag;
	return commands_run(c, argc, args);
}

int commands_run(const struct commands *c, int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : NULL;

	if (!name || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
		commands_help(c, name ? stdout : stderr);
		return name ? 0 : 2;
	}
	if (strcmp(name, "help") == 0) {
		if (argc > 2)
			return commands_explain(c, argc, argv);
		commands_help(c, stdout);
		return 0;
	}
	for (size_t i = 0; i < c->n; i++)
		if (strcmp(name, c->rows[i].name) == 0)
			return c->rows[i].main(argc - 1, argv + 1);
	return commands_unknown(c, name);
}
