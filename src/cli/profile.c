/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

/* `sconce profile`: what a model's worker spends its time on, sampled from outside by py-spy. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/util.h"
#include "cli/client.h"
#include "cli/printable.h"
#include "wire/json.h"

#define PROGRAM "sconce profile"
#define PROFILE_TIMEOUT_S 30

struct profile_args {
	const char *model, *version, *seconds, *output, *rate, *address, *token;
	bool native, idle;
};

#define AT(field) offsetof(struct profile_args, field)

static const struct option rows[] = {
	{ "MODEL", NULL, OPTION_OPERAND, AT(model), "MODEL", "the model, or MODEL:VERSION",
	  .required = true },
	{ "--version", NULL, OPTION_TEXT, AT(version), NULL,
	  "one version (default: the default version)" },
	{ "--seconds", "-s", OPTION_TEXT, AT(seconds), "N", "how long to look (default: 10)" },
	{ "--output", "-o", OPTION_TEXT, AT(output), "FILE",
	  "the flame graph (default: MODEL.svg here)" },
	{ "--rate", "-r", OPTION_TEXT, AT(rate), "N", "samples per second (default: 100)" },
	{ "--native", NULL, OPTION_FLAG, AT(native), NULL, "frames of C and C++, too" },
	{ "--idle", NULL, OPTION_FLAG, AT(idle), NULL, "also while it waits for requests" },
	{ "--address", NULL, OPTION_TEXT, AT(address), "URL",
	  "management address, also unix:PATH (default: management_address of "
	  "config.properties here, or http://127.0.0.1:8081)" },
	{ "--token", NULL, OPTION_TEXT, AT(token), "TOKEN",
	  "management key (default: SCONCE_TOKEN, or the server's key file)" },
};

const struct options profile_command = {
	.program = PROGRAM,
	.about =
		"Samples the handler of a model on this machine while it works, and draws what it\n"
		"spends its time on as a flame graph, which any browser shows. Needs py-spy:\n"
		"pip install py-spy.",
	.rows = rows,
	.n = ARRAY_LEN(rows),
};

/* "worker 9000 (process 4711)": the first that is ready. 0: there is none. */
static long long profile_pid(const struct client *c)
{
	yyjson_doc *doc = yyjson_read(c->body.p ? c->body.p : "", c->body.n, 0);
	yyjson_val *version = yyjson_arr_get_first(yyjson_doc_get_root(doc)), *worker;
	long long pid = 0;
	size_t i, n;

	yyjson_arr_foreach(yyjson_obj_get(version, "workers"), i, n,
			   worker) if (!pid &&
				       yyjson_equals_str(yyjson_obj_get(worker, "status"), "READY"))
		pid = (long long)yyjson_get_sint(yyjson_obj_get(worker, "pid"));
	yyjson_doc_free(doc);
	return pid;
}

static int profile_find(const struct profile_args *a, long long *ret_pid)
{
	struct client_options options = { .program = PROGRAM,
					  .key = "management",
					  .address = a->address,
					  .token = a->token,
					  .timeout_s = PROFILE_TIMEOUT_S };
	_cleanup_(buf_finish) struct buf target = BUF_INIT(65536);
	struct client c;
	int r = client_init(&c, &options);

	if (!r) {
		client_put_model(&c, &target, "/models", a->model, a->version);
		r = client_call(&c, "GET", buf_cstr(&target));
	}
	*ret_pid = r ? 0 : profile_pid(&c);
	client_finish(&c);
	if (!r && !*ret_pid) {
		printable_printf(stderr, PROGRAM ": error: %s has no worker that is ready\n",
				 a->model);
		r = CLIENT_REFUSED;
	}
	return r;
}

/* Replaces this process: what py-spy prints and its exit code are what the user gets. */
static int profile_sample(const struct profile_args *a, long long pid)
{
	_cleanup_(freep) char *number = mem_printf("%lld", pid);
	_cleanup_(freep) char *own = mem_printf("%s.svg", a->model);
	const char *argv[20] = { "py-spy",     "record",
				 "--pid",      number,
				 "--duration", a->seconds ? a->seconds : "10",
				 "--rate",     a->rate ? a->rate : "100",
				 "--format",   "flamegraph",
				 "--output",   a->output ? a->output : own };
	size_t n = 12;

	for (char *c = own; *c; c++)
		*c = *c == '/' || *c == ':' ? '-' : *c;
	if (a->native)
		argv[n++] = "--native";
	if (a->idle)
		argv[n++] = "--idle";
	assert(n < ARRAY_LEN(argv));
	printable_printf(stderr, "Sampling process %lld of %s for %s s into %s\n", pid, a->model,
			 argv[5], argv[11]);
	execvp(argv[0], (char *const *)(uintptr_t)argv);
	if (errno == ENOENT)
		fputs(PROGRAM ": error: py-spy is not installed: pip install py-spy\n", stderr);
	else
		fprintf(stderr, PROGRAM ": error: py-spy: %s\n", strerror(errno));
	return CLIENT_REFUSED;
}

int profile_main(int argc, char **argv)
{
	struct profile_args a = { 0 };
	long long pid;
	int r = options_parse(&profile_command, &a, argc, argv);

	if (r >= 0)
		return r;
	r = profile_find(&a, &pid);
	return r ? r : profile_sample(&a, pid);
}
