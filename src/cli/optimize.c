/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

/*
 * `sconce optimize`: compiles a model and proves the result. What does it is Python
 * (sconce.optimize), for it runs the archive's handler; this reads the arguments.
 */

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/util.h"
#include "cli/printable.h"
#include "fleet/fleet.h"
#include "wire/json.h"

#define PROGRAM "sconce optimize"
#define OPTIMIZE_JOB_MAX ((size_t)1 << 20)
#define OPTIMIZE_INSTANCES_MAX 1024
#define OPTIMIZE_SECONDS_MAX 3600
#define OPTIMIZE_ROUNDS_MAX 100

struct optimize_args {
	const char *target, *samples, *output, *device, *tolerance, *instances, *seconds, *rounds,
		*report, *python;
	struct option_list shapes, candidates, allow;
	bool accept, json;
};

#define AT(field) offsetof(struct optimize_args, field)

static const struct option rows[] = {
	{ "MODEL", NULL, OPTION_OPERAND, AT(target), "FILE",
	  "the archive, a model folder, or a bare model (.onnx, .pt and others)",
	  .required = true },
	{ "--samples", "-s", OPTION_TEXT, AT(samples), "FILE",
	  "a folder of request bodies (or one file), which the original answers, or of recorded "
	  "calls of the model (.npz); without them, some are made up where that is possible" },
	{ "--shape", NULL, OPTION_LIST, AT(shapes), "SIZES",
	  "instead of samples: the tensors that the model takes, each as 1,3,224,224 or "
	  "1,128:int64; under a handler, only the model is measured then" },
	{ "--output", "-o", OPTION_TEXT, AT(output), "FILE",
	  "the archive to write (default: MODEL-optimized.mar here)" },
	{ "--candidates", NULL, OPTION_LIST, AT(candidates), "NAME",
	  "only these (default: all that this machine can make)" },
	{ "--allow", NULL, OPTION_LIST, AT(allow), "PRECISION",
	  "also candidates of lower precision: bf16, int8, fp16" },
	{ "--tolerance", NULL, OPTION_TEXT, AT(tolerance), "X",
	  "how much outputs may differ from the original's, as a part of their greatest magnitude "
	  "(default: 0.001)" },
	{ "--accept", NULL, OPTION_FLAG, AT(accept), NULL,
	  "choose the fastest, even outside the tolerance" },
	{ "--device", NULL, OPTION_TEXT, AT(device), "cpu|cuda",
	  "where it will run (default: cpu)" },
	{ "--instances", "-n", OPTION_TEXT, AT(instances), "N",
	  "workers when throughput is measured (default: one per processor)" },
	{ "--seconds", NULL, OPTION_TEXT, AT(seconds), "N",
	  "how long each measurement takes (default: 3)" },
	{ "--rounds", NULL, OPTION_TEXT, AT(rounds), "N",
	  "how often each candidate is measured, in turns (default: 3); 0: without a server" },
	{ "--report", NULL, OPTION_TEXT, AT(report), "FILE",
	  "the report (default: beside the archive, .html)" },
	{ "--json", NULL, OPTION_FLAG, AT(json), NULL, "print the result as one line of JSON" },
	{ "--python", NULL, OPTION_TEXT, AT(python), "PATH",
	  "interpreter with the packages of the handler and of the engines (default: python3)" },
};

const struct options optimize_command = {
	.program = PROGRAM,
	.about =
		"Compiles a model in every way that this machine can, measures\n"
		"each through a real worker beside the original, and writes the fastest whose\n"
		"outputs are the original's into a new archive, which has both. Exit code 3: none\n"
		"is faster and exact enough.",
	.rows = rows,
	.n = ARRAY_LEN(rows),
};

static void optimize_key(struct buf *b, const char *key)
{
	buf_printf(b, "%s\"%s\":", b->n > 1 ? "," : "", key);
}

static void optimize_text(struct buf *b, const char *key, const char *value)
{
	optimize_key(b, key);
	if (value)
		json_put_string(b, slice_str(value));
	else
		buf_puts(b, "null");
}

/* `commas`: each value may be several. */
static void optimize_list(struct buf *b, const char *key, const struct option_list *l, bool commas)
{
	const char *comma = "";

	optimize_key(b, key);
	buf_putc(b, '[');
	for (int i = 0; i < l->n; i++) {
		struct slice rest = slice_str(l->values[i]);

		do {
			struct slice one = commas ? slice_cut(&rest, ',') : rest;

			buf_puts(b, comma);
			json_put_string(b, one);
			comma = ",";
		} while (commas && rest.p);
	}
	buf_putc(b, ']');
}

static void optimize_bool(struct buf *b, const char *key, bool value)
{
	optimize_key(b, key);
	buf_puts(b, value ? "true" : "false");
}

/* A whole number of min … max, or `without` where there is none. 0, or 2. */
static int optimize_count(struct buf *b, const char *key, const char *value, unsigned without,
			  unsigned min, unsigned max)
{
	uint64_t n = without;

	if (value && (!slice_u64(slice_str(value), &n) || n < min || n > max))
		return options_error(&optimize_command, "argument --%s: %u to %u, not '%s'", key,
				     min, max, value);
	optimize_key(b, key);
	buf_printf(b, "%llu", (unsigned long long)n);
	return 0;
}

static int optimize_tolerance(struct buf *b, const char *value)
{
	char *end = NULL;
	double x = value ? strtod(value, &end) : 0.001;

	if (value && (end == value || *end || !isfinite(x) || x < 0))
		return options_error(&optimize_command,
				     "argument --tolerance: a number of at least 0, not '%s'",
				     value);
	optimize_key(b, "tolerance");
	buf_printf(b, "%.17g", x);
	return 0;
}

/* What sconce.optimize reads. 0, or 2. */
static int optimize_job(struct buf *b, const struct optimize_args *a)
{
	int r;

	buf_putc(b, '{');
	optimize_text(b, "target", a->target);
	optimize_text(b, "samples", a->samples);
	optimize_text(b, "output", a->output);
	optimize_text(b, "report", a->report);
	optimize_text(b, "device", a->device ? a->device : "cpu");
	optimize_text(b, "version", SCONCE_VERSION);
	optimize_list(b, "shapes", &a->shapes, false);
	optimize_list(b, "candidates", &a->candidates, true);
	optimize_list(b, "allow", &a->allow, true);
	optimize_bool(b, "accept", a->accept);
	optimize_bool(b, "json", a->json);
	r = optimize_tolerance(b, a->tolerance);
	if (!r)
		r = optimize_count(b, "instances", a->instances, 0, 1, OPTIMIZE_INSTANCES_MAX);
	if (!r)
		r = optimize_count(b, "seconds", a->seconds, 3, 1, OPTIMIZE_SECONDS_MAX);
	if (!r)
		r = optimize_count(b, "rounds", a->rounds, 3, 0, OPTIMIZE_ROUNDS_MAX);
	buf_putc(b, '}');
	return r;
}

static int optimize_complain(const char *what, const char *why)
{
	printable_printf(stderr, PROGRAM ": error: %s: %s\n", what, why);
	return 1;
}

/* Replaces this process. */
static int optimize_exec(const char *given, const char *job)
{
	_cleanup_(freep) char *packages = fleet_packages();
	_cleanup_(freep) char *path = NULL;
	const char *python = given ? given : "python3";
	const char *before = getenv("PYTHONPATH");

	if (!packages)
		return optimize_complain("packages", "those of this server were not found: "
						     "reinstall it, or set SCONCE_PYTHON_PATH");
	path = mem_printf("%s%s%s", packages, before ? ":" : "", before ? before : "");
	setenv("PYTHONPATH", path, 1);
	setenv("PYTHONUNBUFFERED", "1", 1);
	execlp(python, python, "-m", "sconce.optimize", job, (char *)NULL);
	return optimize_complain(python, strerror(errno));
}

int optimize_main(int argc, char **argv)
{
	_cleanup_(buf_finish) struct buf job = BUF_INIT(OPTIMIZE_JOB_MAX);
	struct optimize_args a = { 0 };
	int r = options_parse(&optimize_command, &a, argc, argv);

	if (r >= 0)
		return r;
	r = optimize_job(&job, &a);
	return r ? r : optimize_exec(a.python, buf_cstr(&job));
}
