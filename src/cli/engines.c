/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

/* `sconce engines`: what runs models here, and what is missing. The native worker knows. */

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <yyjson.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/util.h"
#include "child/capture.h"
#include "cli/printable.h"

#define PROGRAM "sconce engines"
#define ENGINES_PATIENCE_MS 120000
/* The engine has a limit of its own, which says more. */
#define ENGINES_BUILD_PATIENCE_MS 900000
#define ENGINES_OUTPUT_MAX ((size_t)1 << 20)

struct engines_args {
	const char *action, *engine;
	const char *python;
	bool json;
};

#define AT(field) offsetof(struct engines_args, field)

static const struct option rows[] = {
	{ "ACTION", NULL, OPTION_OPERAND, AT(action), "build|list",
	  "list them, or build what the one named by ENGINE needs (default: list)" },
	{ "ENGINE", NULL, OPTION_OPERAND, AT(engine), "ENGINE", "the engine to build for: torch" },
	{ "--python", NULL, OPTION_TEXT, AT(python), "PATH",
	  "whose packages may hold runtimes (default: python3)" },
	{ "--json", NULL, OPTION_FLAG, AT(json), NULL, "a JSON object per line" },
};

const struct options engines_command = {
	.program = PROGRAM,
	.about =
		"Lists the engines that can run models without Python: their versions, where they\n"
		"were found, and what is missing. `build torch` builds now what\n"
		"the first model would otherwise wait for.",
	.rows = rows,
	.n = ARRAY_LEN(rows),
};

static const char *engines_text(yyjson_val *engine, const char *key)
{
	const char *text = yyjson_get_str(yyjson_obj_get(engine, key));

	return text ? text : "";
}

static const char *engines_name(yyjson_val *engine)
{
	const char *name = engines_text(engine, "name"), *file = engines_text(engine, "file");
	const char *slash = strrchr(file, '/');

	return *name ? name : slash ? slash + 1 : file;
}

static void engines_print_line(struct printable_table *t, struct slice line)
{
	yyjson_doc *doc = yyjson_read(line.p, line.n, 0);
	yyjson_val *e = yyjson_doc_get_root(doc);
	const char *error = engines_text(e, "error"), *path = engines_text(e, "path");
	const char *features = *error ? "" : engines_text(e, "features");

	printable_table_put(t, "%s", engines_name(e));
	if (*error)
		printable_table_put(t, "-");
	else
		printable_table_put(t, "%s %s", engines_text(e, "runtime"),
				    engines_text(e, "runtimeVersion"));
	printable_table_put(t, "%s", *error ? "-" : engines_text(e, "devices"));
	printable_table_put(t, *features ? "%s (%s)" : "%s",
			    *error  ? error
			    : *path ? path
				    : "built in",
			    features);
	yyjson_doc_free(doc);
}

static int engines_print(struct slice lines)
{
	struct printable_table t;

	printable_table_init(&t, 4);
	printable_table_put(&t, "ENGINE");
	printable_table_put(&t, "RUNTIME");
	printable_table_put(&t, "DEVICES");
	printable_table_put(&t, "WHERE, OR WHAT IS MISSING");
	while (lines.n)
		engines_print_line(&t, slice_cut(&lines, '\n'));
	printable_table_print(&t, stdout, 0);
	return 0;
}

static int engines_build(const char *worker, const char *python, const char *engine)
{
	_cleanup_(buf_finish) struct buf out = BUF_INIT(ENGINES_OUTPUT_MAX);
	const char *const arguments[] = { "--prepare", engine, "--python", python, NULL };
	uint64_t begin_ns = clock_now_ns();
	struct slice said;
	int r;

	fprintf(stderr, "Building for the engine %s; a compiler may take a minute ...\n", engine);
	r = capture_run(worker, arguments, ENGINES_BUILD_PATIENCE_MS, &out);
	said = buf_slice(&out);
	said = slice_cut(&said, '\n');
	if (r < 0) {
		fprintf(stderr, PROGRAM ": %.*s\n", (int)said.n, said.n ? said.p : strerror(-r));
		return 1;
	}
	printf("%.*s (%.0f s)\n", (int)said.n, said.p,
	       (double)(clock_now_ns() - begin_ns) / NS_PER_S);
	return 0;
}

int engines_main(int argc, char **argv)
{
	_cleanup_(buf_finish) struct buf out = BUF_INIT(ENGINES_OUTPUT_MAX);
	_cleanup_(freep) char *worker = file_beside_us("sconce-worker"), *python = NULL;
	struct engines_args a = { 0 };
	int r = options_parse(&engines_command, &a, argc, argv);

	if (r >= 0)
		return r;
	python = a.python ? mem_strdup(a.python) : capture_find(SLICE("python3"));
	if (a.action && strcmp(a.action, "build") == 0 && !a.engine)
		return options_error(&engines_command, "which engine is it to build for?");
	if (worker && a.engine)
		return engines_build(worker, python ? python : "", a.engine);
	const char *const arguments[] = { "--engines", "--python", python ? python : "", NULL };

	r = worker ? capture_run(worker, arguments, ENGINES_PATIENCE_MS, &out) : -ENOENT;
	if (r < 0) {
		fprintf(stderr, PROGRAM ": %s cannot be asked: %s\n",
			worker ? worker : "sconce-worker", strerror(-r));
		return 1;
	}
	if (!a.json)
		return engines_print(buf_slice(&out));
	printable_document(stdout, buf_slice(&out));
	return 0;
}
