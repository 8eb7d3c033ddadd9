/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

#include "base/slice.h"
#include "base/util.h"

struct command {
	const char *name;
	int (*main)(int argc, char **argv);
	const char *help; /* NULL: not for people */
};

static int version_main(int argc, char **argv);
static int help_main(int argc, char **argv);

static const struct command commands[] = {
	{ "serve", serve_main, "run the server" },
	{ "archive", archiver_main, "pack a model archive (as torch-model-archiver)" },
	{ "torchserve", torchserve_main, "the torchserve command, as TorchServe users type it" },
	{ "settings", settings_main, "list every setting" },
	{ "version", version_main, "print the version" },
	{ "help", help_main, "this text" },
	{ "unpack", unpack_main, NULL },
	{ "fetch", fetch_main, NULL },
};

/* Names the executable may be called by. */
static const struct command names[] = {
	{ "torchserve", torchserve_main, NULL },
	{ "torch-model-archiver", archiver_main, NULL },
};

static int version_main(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	printf("sconce %s\n", SCONCE_VERSION);
	return 0;
}

static void print_help(FILE *out)
{
	fputs("usage: sconce <command> [options]\n\ncommands:\n", out);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (commands[i].help)
			fprintf(out, "  %-12s %s\n", commands[i].name, commands[i].help);
	fputs("\n`sconce <command> --help` tells more.\n", out);
}

static int help_main(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	print_help(stdout);
	return 0;
}

static int unknown(const char *name)
{
	const struct command *best = NULL;
	unsigned least = 3;

	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		unsigned d = slice_distance(slice_str(name), slice_str(commands[i].name));

		if (!commands[i].help || d >= least)
			continue;
		least = d;
		best = &commands[i];
	}
	fprintf(stderr, "sconce: there is no command '%s'", name);
	if (best)
		fprintf(stderr, "; did you mean '%s'?", best->name);
	fputs("\nTry `sconce help`.\n", stderr);
	return 2;
}

int main(int argc, char **argv)
{
	const char *slash = argc ? strrchr(argv[0], '/') : NULL;
	const char *name = slash ? slash + 1 : argc ? argv[0] : "";

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(name, names[i].name) == 0)
			return names[i].main(argc, argv);
	if (argc < 2) {
		print_help(stderr);
		return 2;
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-v") == 0)
		return version_main(argc, argv);
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return help_main(argc, argv);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].main(argc - 1, argv + 1);
	return unknown(argv[1]);
}
