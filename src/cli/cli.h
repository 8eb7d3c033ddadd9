/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One executable, several names: `sconce <command>`, and `torchserve` and `torch-model-archiver` by
 * the name it is called by. Each command is one file: int <command>_main(argc, argv), argv[0] being
 * the command's own name; the result is the exit code (2: wrong usage).
 */

#include "cli/options.h"

struct commands;

struct command {
	const char *name;
	int (*main)(int argc, char **argv);
	const char *help;              /* NULL: not for people */
	const struct options *options; /* NULL: it has none, or parses them itself */
	const struct commands *sub;    /* NULL: it has none */
};

struct commands {
	const char *program; /* what comes before the command: "sconce" */
	const char *about;
	const struct command *rows;
	size_t n;
};

extern const struct commands sconce_commands;
extern const struct commands models_commands;
extern const struct options archiver_command;
extern const struct options bench_command;
extern const struct options call_command;
extern const struct options dev_command;
extern const struct options new_command;
extern const struct options engines_command;
extern const struct options health_command;
extern const struct options optimize_command;
extern const struct options pipeline_command;
extern const struct options profile_command;
extern const struct options pull_command;
extern const struct options settings_command;
extern const struct options logs_command;
extern const struct options completion_command;

/* Runs the command that argv[1] names, or prints what there is (0: asked for, 2: not). */
int commands_run(const struct commands *c, int argc, char **argv);

int archiver_main(int argc, char **argv);
int bench_main(int argc, char **argv);
int call_main(int argc, char **argv);
int completion_main(int argc, char **argv);
int dev_main(int argc, char **argv);
int man_main(int argc, char **argv);
int models_main(int argc, char **argv);
int new_main(int argc, char **argv);
int engines_main(int argc, char **argv);
int health_main(int argc, char **argv);
int optimize_main(int argc, char **argv);
int pipeline_main(int argc, char **argv);
int profile_main(int argc, char **argv);
int pull_main(int argc, char **argv);
int serve_main(int argc, char **argv);
int settings_main(int argc, char **argv);
int logs_main(int argc, char **argv);
int torchserve_main(int argc, char **argv);
int unpack_main(int argc, char **argv);
int fetch_main(int argc, char **argv);
