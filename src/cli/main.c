/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "cli/torchserve_options.h"

static const struct options version_command = {
	.program = "sconce version",
	.about = "Prints the version.",
};

static int version_main(int argc, char **argv)
{
	int r = options_parse(&version_command, NULL, argc, argv);

	if (r >= 0)
		return r;
	printf("sconce %s\n", SCONCE_VERSION);
	return 0;
}

/* commands_run() answers it; the row is for lists of commands. */
static int help_main(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return 0;
}

static const struct command rows[] = {
	{ "serve", serve_main, "run the server", NULL, NULL },
	{ "new", new_main, "make a folder with a handler and its test", &new_command, NULL },
	{ "dev", dev_main, "serve a handler while you write it", &dev_command, NULL },
	{ "models", models_main, "list, register and scale the models of a running server", NULL,
	  &models_commands },
	{ "call", call_main, "post files to a model of a running server", &call_command, NULL },
	{ "bench", bench_main, "measure a model of a running server", &bench_command, NULL },
	{ "health", health_main, "ask a running server whether its models answer", &health_command,
	  NULL },
	{ "engines", engines_main, "list what runs models without Python", &engines_command, NULL },
	{ "optimize", optimize_main, "compile the model of an archive, and prove the result",
	  &optimize_command, NULL },
	{ "pipeline", pipeline_main, "show or run the steps before and behind a model",
	  &pipeline_command, NULL },
	{ "profile", profile_main, "draw what a handler spends its time on", &profile_command,
	  NULL },
	{ "pull", pull_main, "fetch archives into a model store, with their checksums",
	  &pull_command, NULL },
	{ "archive", archiver_main, "pack a model archive (as torch-model-archiver)",
	  &archiver_command, NULL },
	{ "torchserve", torchserve_main, "the torchserve command, as TorchServe users type it",
	  &torchserve_command, NULL },
	{ "logs", logs_main, "print the logs, of one request or model if asked for", &logs_command,
	  NULL },
	{ "settings", settings_main, "list every setting", &settings_command, NULL },
	{ "completion", completion_main, "print a script that completes commands in bash or zsh",
	  &completion_command, NULL },
	{ "version", version_main, "print the version", &version_command, NULL },
	{ "help", help_main, "explain a command", NULL, NULL },
	{ "man", man_main, NULL, NULL, NULL },
	{ "unpack", unpack_main, NULL, NULL, NULL },
	{ "fetch", fetch_main, NULL, NULL, NULL },
};

const struct commands sconce_commands = {
	.program = "sconce",
	.about = "An inference server that takes over from TorchServe.",
	.rows = rows,
	.n = ARRAY_LEN(rows),
};

/* Names the executable may be called by. */
static const struct {
	const char *name;
	int (*main)(int argc, char **argv);
} names[] = {
	{ "torchserve", torchserve_main },
	{ "torch-model-archiver", archiver_main },
};

static int run(int argc, char **argv)
{
	const char *slash = argc ? strrchr(argv[0], '/') : NULL;
	const char *name = slash ? slash + 1 : argc ? argv[0] : "";

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(name, names[i].name) == 0)
			return names[i].main(argc, argv);
	if (argc > 1 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-v") == 0))
		return version_main(1, argv);
	return commands_run(&sconce_commands, argc, argv);
}

/* What was printed has to arrive: a full disk is a failure, whatever was done before. Who closed
 * standard output wanted none. */
static int finish(int r)
{
	errno = 0;
	if ((fflush(stdout) == 0 && !ferror(stdout)) || errno == EBADF)
		return r;
	fprintf(stderr, "The output cannot be written%s%s\n", errno ? ": " : "",
		errno ? strerror(errno) : "");
	return r ? r : 1;
}

int main(int argc, char **argv)
{
	return finish(run(argc, argv));
}
