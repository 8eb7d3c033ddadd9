/* SPDX-License-Identifier: Apache-2.0 */
#include "api/console.h"
#include "api/handlers.h"

/*
 * What the console shows of files, read by a thread, one after the other: the newest lines of a
 * log, and what `sconce optimize` has left in an archive. Of both only so much.
 */

#include <errno.h>

#include "api/args.h"
#include "base/file.h"
#include "base/mem.h"
#include "log/tail.h"
#include "wire/json.h"

#define FILES_WAITING 16 /* calls; more are asked to come again */
#define FILES_OUT ((size_t)4 << 20)
#define FILES_REPORT ((size_t)1 << 20)
#define FILES_LINES 200
#define FILES_LINE ((size_t)8192) /* of a line that is longer */

/* A file that is read for a call, which stays until that is done. */
struct console_read {
	struct work work;
	struct call *call;
	char *path;
	char *model, *version, *request, *worker; /* NULL: any */
	unsigned lines;
	struct buf out; /* what is answered */
	int failed;     /* or -errno */
};

static struct console_read *read_create(struct call *c, char *path)
{
	struct console_read *r = mem_new(struct console_read);

	r->call = c;
	r->path = path;
	buf_init(&r->out, FILES_OUT);
	c->waiting = r;
	return r;
}

static void read_free(struct console_read *r)
{
	struct call *c = r->call;

	free(r->path);
	free(r->model);
	free(r->version);
	free(r->request);
	free(r->worker);
	buf_finish(&r->out);
	free(r);
	c->waiting = NULL;
	call_maybe_free(c);
}

/* False after a 503. */
static bool read_may_begin(struct call *c)
{
	if (c->api->console.n < FILES_WAITING)
		return true;
	c->retry_after_s = 1;
	call_error(c, 503, "ServiceUnavailableException",
		   "%u other calls of the console wait for files. Try again later.",
		   c->api->console.n);
	return false;
}

/* ---- logs ---- */

static void logs_run(struct work *w)
{
	struct console_read *r = container_of(w, struct console_read, work);
	const struct log_filter filter = { .request = slice_str(r->request),
					   .model = slice_str(r->model),
					   .version = slice_str(r->version) };
	struct log_tail *t = mem_new(struct log_tail);

	r->failed = log_tail_read(t, r->path, &filter, slice_str(r->worker), r->lines);
	buf_puts(&r->out, "{\"lines\":[");
	for (unsigned i = 0; i < t->n && r->failed == 0; i++) {
		struct slice line = t->lines[i];

		buf_puts(&r->out, i ? "," : "");
		json_put_string(&r->out, slice_make(line.p, MIN(line.n, FILES_LINE)));
	}
	buf_printf(&r->out, "],\"more\":%s}\n", t->more ? "true" : "false");
	log_tail_finish(t);
	free(t);
}

static void logs_done(struct work *w)
{
	struct console_read *r = container_of(w, struct console_read, work);

	if (r->failed == -ENOENT)
		console_answer(r->call, SLICE("{\"lines\":[],\"more\":false}\n"));
	else if (r->failed < 0 || buf_overflowed(&r->out))
		call_error(r->call, 500, "InternalServerException",
			   "The log cannot be read (%s): see log_location",
			   r->failed < 0 ? strerror(-r->failed) : "its lines are too long");
	else
		console_answer(r->call, buf_slice(&r->out));
	read_free(r);
}

/* The log's file of this name; NULL after a 400. */
static const char *logs_file(struct call *c, struct slice name)
{
	static const struct {
		struct slice name;
		const char *file;
	} logs[] = { { SLICE_CONST("model"), "model_log.log" },
		     { SLICE_CONST("server"), "ts_log.log" },
		     { SLICE_CONST("access"), "access_log.log" } };

	for (size_t i = 0; i < ARRAY_LEN(logs); i++)
		if (slice_eq(name.n ? name : logs[0].name, logs[i].name))
			return logs[i].file;
	call_error(c, 400, "BadRequestException",
		   "Parameter log is model, server or access, and not '%.*s'.",
		   (int)MIN(name.n, FILES_LINES), name.p);
	return NULL;
}

static char *logs_word(const struct args *args, const char *name)
{
	struct slice text = args_text(args, name);

	return text.n ? slice_dup(text) : NULL;
}

void console_logs(struct call *c)
{
	struct console_read *r;
	const char *file;
	struct args args;

	if (!read_may_begin(c) || args_read(&args, c, false) < 0)
		return;
	file = logs_file(c, args_text(&args, "log"));
	if (file) {
		r = read_create(c, mem_printf("%s/%s", c->api->settings->log_location, file));
		r->model = logs_word(&args, "model");
		r->version = logs_word(&args, "version");
		r->request = logs_word(&args, "request");
		r->worker = logs_word(&args, "worker");
		r->lines = (unsigned)MIN(MAX(args_integer(&args, "lines", FILES_LINES), 1),
					 LOG_TAIL_LINES);
		lane_add(&c->api->console, &r->work, logs_run, logs_done);
	}
	args_finish(&args);
}

/* ---- the report of an archive ---- */

static void report_run(struct work *w)
{
	struct console_read *r = container_of(w, struct console_read, work);
	_cleanup_(buf_finish) struct buf text = BUF_INIT(FILES_REPORT);
	yyjson_doc *doc;
	char *json;
	size_t n;

	r->failed = file_read(r->path, &text);
	if (r->failed < 0)
		return;
	/* An archive may say anything: what goes on is JSON, and no other file by way of a link. */
	doc = yyjson_read(text.p ? text.p : "", text.n, 0);
	json = yyjson_is_obj(yyjson_doc_get_root(doc)) ? yyjson_write(doc, 0, &n) : NULL;
	if (json)
		buf_append(&r->out, json, n);
	else
		r->failed = -EINVAL;
	free(json);
	yyjson_doc_free(doc);
}

static void report_done(struct work *w)
{
	struct console_read *r = container_of(w, struct console_read, work);

	if (r->failed == 0)
		console_answer(r->call, buf_slice(&r->out));
	else if (r->failed == -ENOENT || r->failed == -ENOTDIR)
		console_answer(r->call, SLICE("null\n")); /* it was not made by sconce optimize */
	else
		call_error(r->call, 500, "InternalServerException",
			   "The archive's optimized/optimized.json cannot be read: %s",
			   r->failed == -EINVAL ? "it is no JSON object" : strerror(-r->failed));
	read_free(r);
}

void console_report(struct call *c)
{
	struct version *v = call_find_version(c, c->model, c->version_name);
	struct console_read *r;

	if (!v || !read_may_begin(c))
		return;
	r = read_create(c, mem_printf("%s/optimized/optimized.json", v->dir));
	lane_add(&c->api->console, &r->work, report_run, report_done);
}
