/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One executable, several names: `sconce <command>`, and `torchserve` and `torch-model-archiver` by
 * the name it is called by. Each command is one file: int <command>_main(argc, argv), argv[0] being
 * the command's own name; the result is the exit code (2: wrong usage).
 */

#include "cli/options.h"

extern const struct options archiver_command;

int archiver_main(int argc, char **argv);
int serve_main(int argc, char **argv);
int settings_main(int argc, char **argv);
int torchserve_main(int argc, char **argv);
int unpack_main(int argc, char **argv);
int fetch_main(int argc, char **argv);
