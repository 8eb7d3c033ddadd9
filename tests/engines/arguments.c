/* SPDX-License-Identifier: Apache-2.0 */
#include "arguments.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
	"usage: engine_run [OPTION...] ENGINE.so [MODEL [INPUT... [-- INPUT...]...]]\n"
	"Loads an engine and a model, runs it once for each group of inputs, and prints what\n"
	"came of it as JSON. An INPUT is FILE.npy, or DTYPE:SHAPE:FILE with bare bytes, as in\n"
	"BYTES:2x3:file. MODEL followed by an empty INPUT ('') has a group without inputs.\n"
	"  --python FILE       interpreter whose packages may hold the runtime\n"
	"  --cache FOLDER      for what is costly to make\n"
	"  --host-config JSON  the engine's section of the server's settings\n"
	"  --device NAME       cpu (default), cuda:0\n"
	"  --config JSON       the section `engine` of model-config.yaml\n"
	"  --instances N       run at the same time, each in a thread of its own (default 1)\n"
	"  --threads N         for each of them (default 1)\n"
	"  --batch N           say that a run may be of so many requests (default: not known)\n"
	"  --out FOLDER        write outputs there: GROUP-OUTPUT.npy, or .raw (BYTES, BF16)\n"
	"  --warm N            runs that are not measured (default 0)\n"
	"  --repeat N          measured runs of each group (default 1)\n"
	"  --lend BYTES        offer so much memory for each output\n"
	"  --retune N          use N threads from the last group on\n"
	"  --await N           before the last group, wait for so many lines of the log\n"
	"  --restless N        change threads and instances while each N-th group runs, and let\n"
	"                      one instance alone run every other group\n"
	"  --touch             the model's file changes once it is loaded\n"
	"  --cancel            cancel every run until it ends\n";

enum { FLAG_CANCEL = 1, FLAG_TOUCH };

static void misused(const char *what)
{
	fprintf(stderr, "engine_run: %s\n%s", what, usage);
	exit(2);
}

static long number(const char *text)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (end == text || *end || n < 0)
		misused(text);
	return n;
}

static void group_begin(struct arguments *a, char **inputs)
{
	if (a->n_groups == GROUPS_MAX)
		misused("too many groups of inputs");
	a->groups[a->n_groups++] = (struct group){ .inputs = inputs };
}

static void groups_read(struct arguments *a, char **argv)
{
	if (*argv)
		group_begin(a, argv);
	for (; *argv; argv++) {
		if (!strcmp(*argv, "--"))
			group_begin(a, argv + 1);
		else if (**argv)
			a->groups[a->n_groups - 1].n++;
	}
}

static void option_read(struct arguments *a, const char *name, char *value)
{
	const struct {
		const char *name;
		const char **text;
	} texts[] = {
		{ "python", &a->python }, { "cache", &a->cache },
		{ "device", &a->device }, { "config", &a->config },
		{ "out", &a->out },       { "host-config", &a->host_config },
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		if (!strcmp(name, texts[i].name))
			*texts[i].text = value;
	if (!strcmp(name, "instances"))
		a->instances = (uint32_t)number(value);
	else if (!strcmp(name, "threads"))
		a->threads = (uint32_t)number(value);
	else if (!strcmp(name, "batch"))
		a->batch = (uint32_t)number(value);
	else if (!strcmp(name, "warm"))
		a->warm = number(value);
	else if (!strcmp(name, "repeat"))
		a->repeat = number(value);
	else if (!strcmp(name, "lend"))
		a->lend = number(value);
	else if (!strcmp(name, "retune"))
		a->retune = number(value);
	else if (!strcmp(name, "await"))
		a->await = number(value);
	else if (!strcmp(name, "restless"))
		a->restless = number(value);
}

void arguments_read(struct arguments *a, int argc, char **argv)
{
	static const struct option options[] = {
		{ "python", required_argument, NULL, 0 },
		{ "cache", required_argument, NULL, 0 },
		{ "host-config", required_argument, NULL, 0 },
		{ "device", required_argument, NULL, 0 },
		{ "config", required_argument, NULL, 0 },
		{ "instances", required_argument, NULL, 0 },
		{ "threads", required_argument, NULL, 0 },
		{ "batch", required_argument, NULL, 0 },
		{ "out", required_argument, NULL, 0 },
		{ "warm", required_argument, NULL, 0 },
		{ "repeat", required_argument, NULL, 0 },
		{ "lend", required_argument, NULL, 0 },
		{ "retune", required_argument, NULL, 0 },
		{ "await", required_argument, NULL, 0 },
		{ "restless", required_argument, NULL, 0 },
		{ "touch", no_argument, NULL, FLAG_TOUCH },
		{ "cancel", no_argument, NULL, FLAG_CANCEL },
		{ 0 },
	};
	int option, index;

	*a = (struct arguments){ .device = "cpu",
				 .config = "{}",
				 .instances = 1,
				 .threads = 1,
				 .repeat = 1,
				 .lend = -1 };
	/* "+": a "--" behind the first operand is one of ours. */
	while ((option = getopt_long(argc, argv, "+", options, &index)) != -1) {
		if (option == FLAG_CANCEL)
			a->cancel = 1;
		else if (option == FLAG_TOUCH)
			a->touch = 1;
		else if (option == 0)
			option_read(a, options[index].name, optarg);
		else
			misused("no such option");
	}
	if (!argv[optind] || !a->instances || !a->repeat)
		misused("which engine, and how often?");
	a->engine = argv[optind];
	a->model = argv[optind + 1];
	if (a->model)
		groups_read(a, argv + optind + 2);
}
