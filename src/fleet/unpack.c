/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/unpack.h"

#include <string.h>
#include <yyjson.h>

#include "base/mem.h"
#include "base/uuid.h"
#include "child/job.h"
#include "fleet/fleet.h"
#include "fleet/removal.h"
#include "wire/json.h"

struct unpack {
	const struct settings *settings;
	struct removals *removals;
	char *target;
	void (*done)(void *arg, struct unpacked *u);
	void *arg;
};

static void unpack_parse(struct slice output, struct unpacked *out, struct region *region)
{
	yyjson_doc *doc = yyjson_read_opts((char *)(uintptr_t)output.p, output.n, 0, NULL, NULL);
	yyjson_val *root = yyjson_doc_get_root(doc), *manifest = yyjson_obj_get(root, "manifest");
	bool ok = false;
	char *text = NULL;
	size_t n = 0;

	json_bool(root, "ok", &ok);
	if (ok && manifest)
		text = yyjson_val_write_opts(manifest, 0, NULL, &n, NULL);
	if (ok && text && manifest_read_json(region, slice_make(text, n), &out->manifest) == 0) {
		out->status = 0;
		out->dir = json_text(region, root, "dir").p;
	} else if (!ok) {
		job_read_failure(root, region, &out->status, &out->type, &out->message);
	}
	free(text);
	yyjson_doc_free(doc);
}

/* Of one that we have ended; NULL: we have not. */
static const char *unpack_took_long(const struct settings *s, const struct job_end *end,
				    struct region *region)
{
	if (end->stalled)
		return region_printf(region,
				     "The archive could not be unpacked: nothing of it was read or "
				     "written for %llu s (unpack_stall_timeout). Do the disks of "
				     "the archive and of tmp_dir answer?",
				     (unsigned long long)s->unpack_stall_timeout);
	if (end->late)
		return region_printf(region,
				     "The archive could not be unpacked in %llu s (unpack_timeout)",
				     (unsigned long long)s->unpack_timeout);
	return NULL;
}

/* What to say of a child that did not get as far as a document. */
static void unpack_failed(const struct settings *s, const struct job_end *end, struct unpacked *out,
			  struct region *region)
{
	char how[96] = "could not be started";

	*out = (struct unpacked){ .status = 500,
				  .type = "InternalServerException",
				  .region = region };
	if (end->stopped) {
		out->status = 503;
		out->type = "ServiceUnavailableException";
		out->message = "The server is stopping";
		return;
	}
	out->message = unpack_took_long(s, end, region);
	if (out->message)
		return;
	if (end->status >= 0)
		child_describe(end->status, how, sizeof(how));
	out->message = region_printf(
		region, "The archive could not be unpacked: the unpacking process %s", how);
}

static void unpack_ended(void *arg, const struct job_end *end)
{
	struct unpack *u = arg;
	struct region region;
	struct unpacked out;

	region_init(&region);
	unpack_failed(u->settings, end, &out, &region);
	if (end->status == 0 && !end->stopped)
		unpack_parse(end->output, &out, &region);
	/* A directory is served from where it lies. */
	out.own_dir = !out.status && out.dir && strncmp(out.dir, u->target, strlen(u->target)) == 0;
	if (!out.status && !out.dir)
		out.status = 500;
	u->done(u->arg, &out);
	if (out.status)
		removal_add(u->removals, TAKE(u->target), NULL, NULL);
	region_finish(&region);
	free(u->target);
	free(u);
}

struct job *unpack_start(struct fleet *f, const char *source, struct slice name_hint,
			 void (*done)(void *arg, struct unpacked *u), void *arg)
{
	const struct settings *s = f->settings;
	_cleanup_(freep) char *bytes = mem_printf("%llu", (unsigned long long)s->max_archive_size);
	_cleanup_(freep) char *entries = mem_printf("%llu",
						    (unsigned long long)s->max_archive_entries);
	_cleanup_(freep) char *ratio = mem_printf("%llu", (unsigned long long)s->max_archive_ratio);
	_cleanup_(freep) char *hint = name_hint.n ? slice_dup(name_hint) : NULL;
	struct unpack *u = mem_new(struct unpack);
	char id[UUID_LEN + 1];

	uuid_make(id);
	u->target = mem_printf("%s/%s", f->workdir.path, id);
	u->settings = s;
	u->removals = &f->removals;
	u->done = done;
	u->arg = arg;
	const char *const argv[] = { f->executable, "unpack",      "--source",
				     source,        "--into",      u->target,
				     "--max-bytes", bytes,         "--max-entries",
				     entries,       "--max-ratio", ratio,
				     "--progress",  "3",           hint ? "--name-hint" : NULL,
				     hint,          NULL };

	return job_start(&f->jobs,
			 &(struct job_spec){ .kind = JOB_UNPACK,
					     .file = f->executable,
					     .argv = argv,
					     .limit_ms = s->unpack_timeout * 1000,
					     .stall_ms = s->unpack_stall_timeout * 1000,
					     .progress = true },
			 unpack_ended, u);
}
