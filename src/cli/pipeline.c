/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

/*
 * `sconce pipeline`: the steps before and behind a model, as a picture in text, or run on files of
 * this machine. The native worker does both; this reads the archive for it.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <yyjson.h>

#include "archive/archive.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/util.h"
#include "child/capture.h"
#include "cli/printable.h"
#include "fleet/fleet.h"
#include "wire/json.h"

#define PROGRAM "sconce pipeline"
#define PIPELINE_UNPACK_MS 600000
#define PIPELINE_OUTPUT_MAX ((size_t)64 << 20)
#define PIPELINE_ANSWER_MAX ((size_t)1 << 30)

struct pipeline_args {
	const char *action, *archive, *python, *device;
	struct option_list files;
};

#define AT(field) offsetof(struct pipeline_args, field)

static const struct option rows[] = {
	{ "ACTION", NULL, OPTION_OPERAND, AT(action), "show|run",
	  "show the steps, or run them on files and print the answers", .required = true },
	{ "ARCHIVE", NULL, OPTION_OPERAND, AT(archive), "FILE",
	  "a model archive or folder, or a bare model with its model-config.yaml",
	  .required = true },
	{ "FILE", NULL, OPTION_OPERANDS, AT(files), "FILE",
	  "requests: the body of each is a file; *.json is JSON, *.txt text" },
	{ "--python", NULL, OPTION_TEXT, AT(python), "PATH",
	  "whose packages may hold runtimes (default: python3)" },
	{ "--device", NULL, OPTION_TEXT, AT(device), "NAME", "cpu or cuda:N (default: cpu)" },
};

const struct options pipeline_command = {
	.program = PROGRAM,
	.about = "Shows what is done before and behind a model that is served without Python:\n"
		 "the pipeline of its model-config.yaml, or that of its default handler.\n"
		 "`run` does it with files of this machine, without a server.",
	.rows = rows,
	.n = ARRAY_LEN(rows),
};

/* What lies in a folder of our own for as long as this runs. */
struct unpacked {
	char *folder; /* NULL: there is none */
	yyjson_doc *doc;
	struct region region;
	struct manifest manifest;
	const char *dir;
};

static int unpacked_fail(const char *why)
{
	printable_printf(stderr, PROGRAM ": %s\n", why);
	return 1;
}

static int unpacked_read(struct unpacked *u)
{
	yyjson_val *root = yyjson_doc_get_root(u->doc);
	yyjson_val *manifest = yyjson_obj_get(root, "manifest");
	const char *why = yyjson_get_str(yyjson_obj_get(root, "message"));
	size_t n = 0;
	char *json;
	int r;

	if (!yyjson_is_true(yyjson_obj_get(root, "ok")))
		return unpacked_fail(why ? why : "the archive cannot be read");
	u->dir = yyjson_get_str(yyjson_obj_get(root, "dir"));
	json = yyjson_val_write(manifest, 0, &n);
	r = json ? manifest_read_json(&u->region, slice_make(json, n), &u->manifest) : -1;
	/* The manifest's texts are copies. */
	free(json);
	return r < 0 || !u->dir ? unpacked_fail("the archive cannot be read") : 0;
}

static int unpacked_make(struct unpacked *u, const char *archive)
{
	_cleanup_(buf_finish) struct buf out = BUF_INIT(PIPELINE_OUTPUT_MAX);
	_cleanup_(freep) char *self = file_beside_us("sconce"), *into = NULL;
	const char *tmp = getenv("TMPDIR");
	int r;

	region_init(&u->region);
	u->folder = mem_printf("%s/sconce-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (!self || !mkdtemp(u->folder)) {
		free(TAKE(u->folder));
		return unpacked_fail("there is no folder for the archive: set TMPDIR");
	}
	into = mem_printf("%s/model", u->folder);
	const char *const arguments[] = { "unpack", "--source", archive, "--into", into, NULL };

	r = capture_run(self, arguments, PIPELINE_UNPACK_MS, &out);
	u->doc = r < 0 ? NULL : yyjson_read(out.p ? out.p : "", out.n, 0);
	return u->doc ? unpacked_read(u) : unpacked_fail("the archive cannot be read");
}

static void unpacked_finish(struct unpacked *u)
{
	if (u->folder)
		file_remove_tree(u->folder);
	free(u->folder);
	yyjson_doc_free(u->doc);
	region_finish(&u->region);
}

/* ---- what LOAD would say ---- */

/* The steps that it has, or the handler by which the worker knows some. */
static int document_pipeline(const struct unpacked *u, yyjson_val *config, struct buf *b)
{
	yyjson_val *steps = yyjson_obj_get(config, "pipeline");
	struct slice handler = u->manifest.handler;
	_cleanup_(freep) char *own = mem_printf("%s/%.*s.py", u->dir, SLICE_ARG(handler));
	char *json = steps ? yyjson_val_write(steps, 0, NULL) : NULL;

	if (!json && (!handler.n || access(own, R_OK) == 0))
		return unpacked_fail("the archive has no pipeline: its model-config.yaml has no "
				     "section of that name, and its handler is its own");
	buf_puts(b, json ? ",\"pipeline\":{\"steps\":" : ",\"pipeline\":{\"handler\":");
	if (json)
		buf_puts(b, json);
	else
		json_put_string(b, handler);
	buf_putc(b, '}');
	free(json);
	return 0;
}

static int document_write(const struct unpacked *u, const struct pipeline_args *a, struct buf *b)
{
	_cleanup_(freep) char *found = a->python ? NULL : capture_find(SLICE("python3"));
	const char *python = a->python ? a->python : found ? found : "";
	yyjson_doc *doc = yyjson_read(u->manifest.config_json.p, u->manifest.config_json.n, 0);
	yyjson_val *config = yyjson_doc_get_root(doc), *engine = yyjson_obj_get(config, "engine");
	_cleanup_(freep) char *file = slice_dup(u->manifest.serialized_file);
	char *json = yyjson_is_obj(engine) ? yyjson_val_write(engine, 0, NULL) : NULL;
	const char *name = yyjson_get_str(yyjson_is_str(engine) ? engine
								: yyjson_obj_get(engine, "name"));
	int r;

	buf_printf(b, "{\"threads\":%ld,\"batch_size\":1,\"max_response_size\":%zu",
		   MAX(sysconf(_SC_NPROCESSORS_ONLN), 1), PIPELINE_ANSWER_MAX);
	json_put_member(b, "model_dir", u->dir);
	buf_puts(b, ",\"engine\":{\"instances\":1");
	json_put_member(b, "file", file);
	json_put_member(b, "name", name);
	json_put_member(b, "python", python);
	json_put_member(b, "device", a->device ? a->device : "cpu");
	buf_printf(b, ",\"config\":%s}", json ? json : "{}");
	r = document_pipeline(u, config, b);
	buf_putc(b, '}');
	free(json);
	yyjson_doc_free(doc);
	return r;
}

/* ---- the worker ---- */

/* Pictures that it does not read itself go through our Python packages. */
static void worker_environment_set(void)
{
	_cleanup_(freep) char *packages = fleet_packages();
	const char *inherited = getenv("PYTHONPATH");
	bool more = inherited && *inherited;
	_cleanup_(freep) char *path = packages ? mem_printf("%s%s%s", packages, more ? ":" : "",
							    more ? inherited : "")
					       : NULL;

	if (path)
		setenv("PYTHONPATH", path, 1);
}

/* Its output and exit code are ours. */
static int pipeline_child(const char *const *argv)
{
	int status = 0;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		worker_environment_set();
		execv(argv[0], (char *const *)(uintptr_t)argv);
		fprintf(stderr, PROGRAM ": %s: %s\n", argv[0], strerror(errno));
		_exit(1);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static int worker_ask(const struct unpacked *u, const struct pipeline_args *a)
{
	_cleanup_(freep) char *path = mem_printf("%s/document.json", u->folder);
	_cleanup_(freep) char *worker = file_beside_us("sconce-worker");
	_cleanup_(freep) const char **argv = mem_zalloc(((size_t)a->files.n + 4) * sizeof(*argv));
	_cleanup_(buf_finish) struct buf document = BUF_INIT(PIPELINE_OUTPUT_MAX);

	if (document_write(u, a, &document))
		return 1;
	if (!worker || file_write_atomic(path, buf_slice(&document), 0600) < 0)
		return unpacked_fail("the native worker cannot be asked");
	argv[0] = worker;
	argv[1] = strcmp(a->action, "run") == 0 ? "--run" : "--show";
	argv[2] = path;
	for (int i = 0; i < a->files.n; i++)
		argv[3 + i] = a->files.values[i];
	return pipeline_child(argv);
}

int pipeline_main(int argc, char **argv)
{
	struct pipeline_args a = { 0 };
	struct unpacked u = { NULL };
	int r = options_parse(&pipeline_command, &a, argc, argv);

	if (r >= 0)
		return r;
	if (strcmp(a.action, "run") == 0 && !a.files.n)
		return options_error(&pipeline_command, "which files is it to run on?");
	if (strcmp(a.action, "show") == 0 && a.files.n)
		return options_error(&pipeline_command, "files are for run");
	r = unpacked_make(&u, a.archive);
	if (!r)
		r = worker_ask(&u, &a);
	unpacked_finish(&u);
	return r;
}
