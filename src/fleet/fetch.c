/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/fetch.h"

#include <yyjson.h>

#include "base/mem.h"
#include "base/util.h"
#include "fleet/fleet.h"
#include "wire/json.h"

struct fetch {
	char *url;
	void (*done)(void *arg, const struct fetched *o);
	void *arg;
};

static void fetch_parse(struct slice output, struct region *region, struct fetched *o)
{
	yyjson_doc *doc = yyjson_read_opts((char *)(uintptr_t)output.p, output.n, 0, NULL, NULL);
	yyjson_val *root = yyjson_doc_get_root(doc);
	bool ok = false;

	json_bool(root, "ok", &ok);
	if (ok)
		*o = (struct fetched){ 0 };
	else
		job_read_failure(root, region, &o->status, &o->type, &o->message);
	yyjson_doc_free(doc);
}

static void fetch_ended(void *arg, const struct job_end *end)
{
	struct fetch *t = arg;
	struct region region;
	struct fetched o = { .status = 400, .type = "DownloadArchiveException" };

	region_init(&region);
	o.message = region_printf(&region, "Failed to download archive from: %s", t->url);
	if (end->stopped)
		o = (struct fetched){ 503, "ServiceUnavailableException",
				      "The server is stopping" };
	else if (end->status == 0)
		fetch_parse(end->output, &region, &o);
	t->done(t->arg, &o);
	region_finish(&region);
	free(t->url);
	free(t);
}

void fetch_start(struct fleet *f, const char *url, const char *path, bool s3_sse_kms,
		 void (*done)(void *arg, const struct fetched *o), void *arg)
{
	const struct settings *s = f->settings;
	_cleanup_(freep) char *bytes = mem_printf("%llu", (unsigned long long)s->max_archive_size);
	_cleanup_(freep) char *limit = mem_printf("%llu", (unsigned long long)s->download_timeout);
	_cleanup_(freep) char *stall = mem_printf("%llu",
						  (unsigned long long)s->download_stall_timeout);
	const char *const argv[] = {
		f->executable, "fetch", "--url",        url,
		"--into",      path,    "--allowed",    s->allowed_urls,
		"--max-bytes", bytes,   "--limit",      limit,
		"--stall",     stall,   "--s3-sse-kms", s3_sse_kms ? "true" : "false",
		NULL
	};
	struct fetch *t = mem_new(struct fetch);

	t->url = mem_strdup(url);
	t->done = done;
	t->arg = arg;
	job_start(&f->jobs, &(struct job_spec){ .file = f->executable, .argv = argv }, fetch_ended,
		  t);
}
