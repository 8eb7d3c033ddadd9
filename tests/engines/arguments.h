/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The command line of engine_run. Texts are the program's arguments: nothing is to be freed. */

#include <stddef.h>
#include <stdint.h>

#define GROUPS_MAX 64

/* The inputs of one run. */
struct group {
	char **inputs;
	size_t n;
};

struct arguments {
	const char *engine, *model;
	const char *python, *cache, *host_config; /* of struct sconce_host */
	const char *device, *config;
	uint32_t instances, threads, batch;
	const char *out; /* folder for outputs; NULL: they are not written */
	long repeat, warm;
	long lend;   /* bytes for each output; -1: the engine brings its own */
	long retune; /* threads, before the last group; 0: as they were */
	long await;  /* lines of the log, before the last group */
	/* Every so many groups, while they run, threads or instances change; and only one instance
	 * runs every other group. 0: never. */
	long restless;
	int touch;  /* the model's file is another one once it is loaded */
	int cancel; /* every run, until it ends */
	struct group groups[GROUPS_MAX];
	size_t n_groups; /* 0: load only */
};

/* Ends the program with its usage when that is not what was typed. */
void arguments_read(struct arguments *a, int argc, char **argv);
