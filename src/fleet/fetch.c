/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/fetch.h"

#include <yyjson.h>

#include "archive/download.h"
#include "base/mem.h"
#include "base/util.h"
#include "fleet/fleet.h"
#include "fleet/removal.h"
#include "wire/json.h"

#define FETCH_GRACE_MS 60000 /* it keeps to download_timeout itself, unless its disk hangs */

struct fetch {
	struct removals *removals;
	char *url, *part;
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
	else if (end->cancelled)
		o.message = "Nobody waits for the archive any more";
	else if (end->status == 0)
		fetch_parse(end->output, &region, &o);
	/* One that was killed could not tidy up. */
	if (o.status)
		removal_add(t->removals, TAKE(t->part), NULL, NULL);
	t->done(t->arg, &o);
	region_finish(&region);
	free(t->part);
	free(t->url);
	free(t);
}

struct job *fetch_start(struct fleet *f, const char *url, const char *path, bool s3_sse_kms,
			void (*done)(void *arg, const struct fetched *o), void *arg)
{
	const struct settings *s = f->settings;
	_cleanup_(freep) char *bytes = mem_printf("%llu", (unsigned long long)s->max_archive_size);
	_cleanup_(freep) char *limit = mem_printf("%llu", (unsigned long long)s->download_timeout);
	_cleanup_(freep) char *rate = mem_printf("%llu", (unsigned long long)s->download_rate_min);
	_cleanup_(freep) char *stall = mem_printf("%llu",
						  (unsigned long long)s->download_stall_timeout);
	struct fetch *t = mem_new(struct fetch);
	const char *const argv[] = { f->executable,
				     "fetch",
				     "--url",
				     url,
				     "--into",
				     path,
				     "--part",
				     t->part = download_part_name(path),
				     "--allowed",
				     s->allowed_urls,
				     "--max-bytes",
				     bytes,
				     "--limit",
				     limit,
				     "--stall",
				     stall,
				     "--rate-min",
				     rate,
				     "--progress",
				     "3",
				     "--s3-sse-kms",
				     s3_sse_kms ? "true" : "false",
				     NULL };

	t->removals = &f->removals;
	t->url = mem_strdup(url);
	t->done = done;
	t->arg = arg;
	return job_start(
		&f->jobs,
		&(struct job_spec){ .kind = JOB_DOWNLOAD,
				    .file = f->executable,
				    .argv = argv,
				    .limit_ms = s->download_timeout * 1000 + FETCH_GRACE_MS,
				    .progress = true },
		fetch_ended, t);
}
