/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/models.h"

/* `sconce models list` and `describe`. */

#include <stdio.h>

#include "base/util.h"
#include "cli/printable.h"

#define SHOW_TIMEOUT_S 30
#define SHOW_PAGES_MAX 10000
#define SHOW_NOTES_MAX ((size_t)1 << 20)
#define SHOW_MIB 1048576.0

static const struct option list_rows[] = {
	{ "--quiet", "-q", OPTION_FLAG, MODELS_AT(quiet), NULL, "names only, one a line" },
	MODELS_ROWS,
};

const struct options models_list_command = {
	.program = "sconce models list",
	.about = "Lists the versions of all models: workers ready of those wanted, archive.",
	.rows = list_rows,
	.n = ARRAY_LEN(list_rows),
};

static const struct option describe_rows[] = {
	{ "MODEL", NULL, OPTION_OPERAND, MODELS_AT(model), "MODEL", MODELS_OPERAND_HELP,
	  .required = true },
	{ "--version", NULL, OPTION_TEXT, MODELS_AT(version), "VERSION",
	  "one version, or all (default: the default version)" },
	{ "--customized", NULL, OPTION_FLAG, MODELS_AT(customized), NULL,
	  "with what the handler says of itself" },
	MODELS_ROWS,
};

const struct options models_describe_command = {
	.program = "sconce models describe",
	.about = "Shows a model with its settings and its workers.",
	.rows = describe_rows,
	.n = ARRAY_LEN(describe_rows),
	.stray = MODELS_STRAY,
};

static const char *text_of(yyjson_val *object, const char *key)
{
	const char *text = yyjson_get_str(yyjson_obj_get(object, key));

	return text ? text : "";
}

static long long number_of(yyjson_val *object, const char *key)
{
	return (long long)yyjson_get_sint(yyjson_obj_get(object, key));
}

size_t models_workers_ready(yyjson_val *version)
{
	yyjson_val *worker;
	size_t i, n, ready = 0;

	yyjson_arr_foreach(yyjson_obj_get(version, "workers"), i, n, worker)
		ready += yyjson_equals_str(yyjson_obj_get(worker, "status"), "READY");
	return ready;
}

void models_put_status(struct buf *out, yyjson_val *version)
{
	double done = (double)number_of(version, "bytes") / SHOW_MIB;
	double total = (double)number_of(version, "totalBytes") / SHOW_MIB;

	buf_puts(out, text_of(version, "status"));
	if (total > 0)
		buf_printf(out, ", %.1f of %.1f MiB", done, total);
	else if (done > 0)
		buf_printf(out, ", %.1f MiB", done);
}

static int show_body(const struct client *c)
{
	printable_document(stdout, buf_slice(&c->body));
	return CLIENT_OK;
}

/* ---- list ---- */

/* "resnet 1.0 does not load: …", for below the table. */
static void list_note(struct buf *notes, const char *name, yyjson_val *version)
{
	const char *error = text_of(version, "error");

	const char *number = text_of(version, "modelVersion");

	if (*error)
		buf_printf(notes, "%s%s%s does not load: %s\n", name, *number ? " " : "", number,
			   error);
}

/* The versions of a model as the server describes them, or NULL: it may have gone since it was
 * listed. `version` NULL: the default one. */
static yyjson_doc *list_ask(struct client *c, const char *name, const char *version)
{
	_cleanup_(buf_finish) struct buf target = BUF_INIT(65536);

	buf_puts(&target, "/models");
	client_put_name(c, &target, name);
	client_put_name(c, &target, version);
	if (client_ask(c, "GET", buf_cstr(&target)) || c->status != 200)
		return NULL;
	return yyjson_read(c->body.p, c->body.n, 0);
}

/* A row for each version; of several the default one is marked. */
static void list_row(struct client *c, struct printable_table *t, struct buf *notes,
		     const char *name)
{
	yyjson_doc *all = list_ask(c, name, "all"), *one = NULL;
	yyjson_val *versions = yyjson_doc_get_root(all), *version;
	const char *chosen = "";
	size_t i, n;

	if (yyjson_arr_size(versions) > 1) {
		one = list_ask(c, name, NULL);
		chosen = text_of(yyjson_arr_get_first(yyjson_doc_get_root(one)), "modelVersion");
	}
	yyjson_arr_foreach(versions, i, n, version)
	{
		const char *called = text_of(version, "modelVersion");
		bool is_default = *chosen && strcmp(called, chosen) == 0;

		if (*text_of(version, "status"))
			continue; /* it is on its way: list_coming() has it */
		printable_table_put(t, "%s", name);
		printable_table_put(t, "%s%s", called, is_default ? " (default)" : "");
		printable_table_put(t, "%zu/%lld", models_workers_ready(version),
				    number_of(version, "minWorkers"));
		printable_table_put(t, "%s", text_of(version, "modelUrl"));
		list_note(notes, name, version);
	}
	yyjson_doc_free(one);
	yyjson_doc_free(all);
}

/* Models that are not there yet. */
static void list_coming(const struct models_args *a, yyjson_val *models, struct printable_table *t,
			struct buf *notes)
{
	yyjson_val *model;
	size_t i, n;

	yyjson_arr_foreach(models, i, n, model)
	{
		_cleanup_(buf_finish) struct buf status = BUF_INIT(256);
		const char *version = text_of(model, "modelVersion");

		if (a->quiet)
			return;
		models_put_status(&status, model);
		printable_table_put(t, "%s", text_of(model, "modelName"));
		printable_table_put(t, "%s", *version ? version : "-");
		printable_table_put(t, "%s", buf_cstr(&status));
		printable_table_put(t, "%s", text_of(model, "modelUrl"));
		list_note(notes, text_of(model, "modelName"), model);
	}
}

static void list_page(struct client *c, const struct models_args *a, yyjson_val *models,
		      struct printable_table *t, struct buf *notes)
{
	yyjson_val *model;
	size_t i, n;

	yyjson_arr_foreach(models, i, n, model)
	{
		if (a->quiet) {
			printable_print(stdout, text_of(model, "modelName"));
			putchar('\n');
		} else {
			list_row(c, t, notes, text_of(model, "modelName"));
		}
	}
}

/* The pages as one document. */
static void list_add(yyjson_mut_doc *all, yyjson_mut_val *to, yyjson_val *models)
{
	yyjson_val *model;
	size_t i, n;

	yyjson_arr_foreach(models, i, n, model)
		yyjson_mut_arr_append(to, yyjson_val_mut_copy(all, model));
}

static void list_print(const struct models_args *a, yyjson_mut_doc *all, struct printable_table *t)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT((size_t)1 << 28);

	if (a->json) {
		json_write_pretty(&text, all);
		printable_document(stdout, buf_slice(&text));
	} else if (!a->quiet && t->n == t->columns) {
		puts("There are no models.");
	} else if (!a->quiet) {
		printable_table_print(t, stdout, 0);
	}
}

static void list_print_notes(struct slice notes)
{
	while (notes.n) {
		struct slice line = slice_cut(&notes, '\n');

		printable_printf(stdout, "%.*s", SLICE_ARG(line));
		putchar('\n');
	}
}

int models_list_main(int argc, char **argv)
{
	_cleanup_(buf_finish) struct buf target = BUF_INIT(65536), next = BUF_INIT(256);
	_cleanup_(buf_finish) struct buf notes = BUF_INIT(SHOW_NOTES_MAX);
	static const char *const heads[] = { "MODEL", "VERSION", "WORKERS", "ARCHIVE" };
	struct printable_table table;
	yyjson_mut_doc *all;
	yyjson_mut_val *root, *models, *coming = NULL;
	struct models_args a;
	struct client c;
	int r = models_begin(&models_list_command, &a, &c, argc, argv, SHOW_TIMEOUT_S);

	if (r >= 0)
		return r;
	printable_table_init(&table, ARRAY_LEN(heads));
	for (size_t i = 0; i < ARRAY_LEN(heads); i++)
		printable_table_put(&table, "%s", heads[i]);
	all = yyjson_mut_doc_new(NULL);
	root = yyjson_mut_obj(all);
	models = yyjson_mut_arr(all);
	yyjson_mut_doc_set_root(all, root);
	yyjson_mut_obj_add_val(all, root, "models", models);
	buf_puts(&target, "/models?limit=100&registering=true");
	for (unsigned page = 0; page < SHOW_PAGES_MAX; page++) {
		yyjson_doc *doc;

		r = client_call(&c, "GET", buf_cstr(&target));
		if (r)
			break;
		doc = yyjson_read(c.body.p, c.body.n, 0);
		buf_clear(&next);
		buf_puts(&next, text_of(yyjson_doc_get_root(doc), "nextPageToken"));
		list_add(all, models, yyjson_obj_get(yyjson_doc_get_root(doc), "models"));
		if (!a.json)
			list_page(&c, &a, yyjson_obj_get(yyjson_doc_get_root(doc), "models"),
				  &table, &notes);
		if (!page)
			coming = yyjson_val_mut_copy(
				all, yyjson_obj_get(yyjson_doc_get_root(doc), "registering"));
		if (!page && !a.json)
			list_coming(&a, yyjson_obj_get(yyjson_doc_get_root(doc), "registering"),
				    &table, &notes);
		yyjson_doc_free(doc);
		if (!next.n)
			break;
		buf_clear(&target);
		buf_puts(&target, "/models?limit=100");
		client_put_query(&c, &target, "next_page_token", buf_cstr(&next));
	}
	if (yyjson_mut_arr_size(coming))
		yyjson_mut_obj_add_val(all, root, "registering", coming);
	if (!r)
		list_print(&a, all, &table);
	if (!r)
		list_print_notes(buf_slice(&notes));
	buf_finish(&table.cells);
	yyjson_mut_doc_free(all);
	client_finish(&c);
	return r;
}

/* ---- describe ---- */

static void describe_worker(struct printable_table *t, yyjson_val *worker)
{
	bool gpu = yyjson_get_bool(yyjson_obj_get(worker, "gpu"));
	long long pid = number_of(worker, "pid");

	printable_table_put(t, "%s", text_of(worker, "id"));
	/* There is none between two tries. */
	if (pid > 0)
		printable_table_put(t, "%lld", pid);
	else
		printable_table_put(t, "-");
	printable_table_put(t, "%s", text_of(worker, "status"));
	printable_table_put(t, "%lld MiB", number_of(worker, "memoryUsage") >> 20);
	printable_table_put(t, "%s", gpu ? text_of(worker, "gpuUsage") : "-");
	printable_table_put(t, "%s", text_of(worker, "startTime"));
}

/* Of one that is an instance in a native worker. */
static void describe_instance(struct printable_table *t, yyjson_val *worker)
{
	if (!*text_of(worker, "engine")) {
		for (int i = 0; i < 4; i++)
			printable_table_put(t, "-");
		return;
	}
	printable_table_put(t, "%lld", number_of(worker, "instance"));
	printable_table_put(t, "%s, %s %s", text_of(worker, "engine"), text_of(worker, "runtime"),
			    text_of(worker, "runtimeVersion"));
	printable_table_put(t, "%s", text_of(worker, "device"));
	printable_table_put(t, "%lld", number_of(worker, "threads"));
}

static bool describe_is_native(yyjson_val *workers)
{
	yyjson_val *worker;
	size_t i, n;

	yyjson_arr_foreach(workers, i, n, worker)
	{
		if (*text_of(worker, "engine"))
			return true;
	}
	return false;
}

static void describe_workers(yyjson_val *version)
{
	static const char *const heads[] = { "WORKER",  "PID",      "STATUS", "MEMORY", "GPU",
					     "STARTED", "INSTANCE", "ENGINE", "DEVICE", "THREADS" };
	yyjson_val *workers = yyjson_obj_get(version, "workers"), *worker;
	bool native = describe_is_native(workers);
	struct printable_table t;
	size_t i, n;

	printable_table_init(&t, native ? ARRAY_LEN(heads) : ARRAY_LEN(heads) - 4);
	for (size_t k = 0; k < t.columns; k++)
		printable_table_put(&t, "%s", heads[k]);
	yyjson_arr_foreach(workers, i, n, worker)
	{
		describe_worker(&t, worker);
		if (native)
			describe_instance(&t, worker);
	}
	if (t.n > t.columns)
		printable_table_print(&t, stdout, 2);
	buf_finish(&t.cells);
}

static void describe_name(yyjson_val *v)
{
	printable_print(stdout, text_of(v, "modelName"));
	putchar(' ');
	printable_print(stdout, text_of(v, "modelVersion"));
	putchar('\n');
}

static void describe_coming(yyjson_val *v)
{
	_cleanup_(buf_finish) struct buf status = BUF_INIT(256);
	struct printable_table t;

	models_put_status(&status, v);
	printable_table_init(&t, 2);
	printable_table_put(&t, "archive");
	printable_table_put(&t, "%s", text_of(v, "modelUrl"));
	printable_table_put(&t, "status");
	printable_table_put(&t, "%s", buf_cstr(&status));
	describe_name(v);
	printable_table_print(&t, stdout, 2);
	buf_finish(&t.cells);
}

static void describe_version(yyjson_val *v)
{
	yyjson_val *queue = yyjson_obj_get(v, "jobQueueStatus");
	yyjson_val *own = yyjson_obj_get(v, "customizedMetadata");
	_cleanup_(freep) char *metadata = own ? yyjson_val_write(own, 0, NULL) : NULL;
	struct printable_table t;

	printable_table_init(&t, 2);
	printable_table_put(&t, "archive");
	printable_table_put(&t, "%s", text_of(v, "modelUrl"));
	if (*text_of(v, "path")) {
		printable_table_put(&t, "path");
		printable_table_put(&t, "%s%s%s", text_of(v, "path"),
				    *text_of(v, "pathReason") ? ": " : "",
				    text_of(v, "pathReason"));
	}
	printable_table_put(&t, "workers");
	printable_table_put(&t, "%zu ready, %lld wanted, at most %lld", models_workers_ready(v),
			    number_of(v, "minWorkers"), number_of(v, "maxWorkers"));
	printable_table_put(&t, "batches");
	printable_table_put(&t, "of up to %lld, waiting %s %lld ms", number_of(v, "batchSize"),
			    yyjson_obj_get(v, "batchMode") ? "always, for" : "up to",
			    number_of(v, "maxBatchDelay"));
	if (yyjson_obj_get(v, "latencyGoalMs")) {
		printable_table_put(&t, "goal");
		printable_table_put(&t, "%lld ms until an answer begins",
				    number_of(v, "latencyGoalMs"));
	}
	printable_table_put(&t, "timeouts");
	printable_table_put(&t, "%lld s to answer, %lld s to start",
			    number_of(v, "responseTimeout"), number_of(v, "startupTimeout"));
	printable_table_put(&t, "queue");
	printable_table_put(&t, "%lld waiting, room for %lld", number_of(queue, "pendingRequests"),
			    number_of(queue, "remainingCapacity"));
	printable_table_put(&t, "device");
	printable_table_put(&t, "%s", text_of(v, "deviceType"));
	if (*text_of(v, "error")) {
		printable_table_put(&t, "error");
		printable_table_put(&t, "%s", text_of(v, "error"));
	}
	if (metadata) {
		printable_table_put(&t, "handler");
		printable_table_put(&t, "%s", metadata);
	}
	describe_name(v);
	printable_table_print(&t, stdout, 2);
	describe_workers(v);
	buf_finish(&t.cells);
}

static int describe_print(const struct client *c)
{
	yyjson_doc *doc = yyjson_read(c->body.p, c->body.n, 0);
	yyjson_val *version;
	size_t i, n;

	yyjson_arr_foreach(yyjson_doc_get_root(doc), i, n, version)
	{
		if (i)
			putchar('\n');
		if (*text_of(version, "status"))
			describe_coming(version);
		else
			describe_version(version);
	}
	yyjson_doc_free(doc);
	return CLIENT_OK;
}

int models_describe_main(int argc, char **argv)
{
	_cleanup_(buf_finish) struct buf target = BUF_INIT(65536);
	struct models_args a;
	struct client c;
	int r = models_begin(&models_describe_command, &a, &c, argc, argv, SHOW_TIMEOUT_S);

	if (r >= 0)
		return r;
	buf_puts(&target, "/models");
	client_put_name(&c, &target, a.model);
	client_put_name(&c, &target, a.version);
	client_put_query(&c, &target, "customized", a.customized ? "true" : NULL);
	r = client_call(&c, "GET", buf_cstr(&target));
	if (!r)
		r = a.json ? show_body(&c) : describe_print(&c);
	client_finish(&c);
	return r;
}
