/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <yyjson.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/uuid.h"
#include "fleet/fleet.h"
#include "log/log.h"
#include "wire/json.h"

#define UNPACK_AT_ONCE 3
#define UNPACK_OUTPUT_MAX ((size_t)4 << 20)

extern char **environ;

struct unpack {
	struct list link; /* waiting or running, in the fleet */
	struct fleet *fleet;
	struct child child;
	uv_poll_t *poll;
	int fd;
	struct buf output;
	char *source, *target, *name_hint;
	void (*done)(void *arg, struct unpacked *u);
	void *arg;
};

static void unpack_next(struct fleet *f);

static void unpack_free(struct unpack *u)
{
	list_remove(&u->link);
	buf_finish(&u->output);
	free(u->source);
	free(u->target);
	free(u->name_hint);
	free(u);
}

static void unpack_closed(uv_handle_t *h)
{
	free(h);
}

static void unpack_close(struct unpack *u)
{
	if (!u->poll)
		return;
	uv_poll_stop(u->poll);
	uv_close((uv_handle_t *)TAKE(u->poll), unpack_closed);
	close(u->fd);
}

static void unpack_read(struct unpack *u)
{
	for (;;) {
		char *at = buf_reserve(&u->output, 65536);
		ssize_t n = at ? read(u->fd, at, 65536) : 0;

		if (n <= 0)
			return;
		buf_added(&u->output, (size_t)n);
	}
}

static void unpack_ready(uv_poll_t *p, int status, int events)
{
	(void)events;
	if (status >= 0)
		unpack_read(p->data);
	else
		uv_poll_stop(p);
}

static void unpack_report(struct unpack *u, struct unpacked *result)
{
	struct fleet *f = u->fleet;
	struct region region;

	region_init(&region);
	if (!result->region)
		result->region = &region;
	u->done(u->arg, result);
	if (result->status && u->target)
		file_remove_tree(u->target);
	unpack_free(u);
	f->unpacking--;
	unpack_next(f);
}

static void unpack_parse(struct unpack *u, struct unpacked *out, struct region *region)
{
	yyjson_doc *doc = yyjson_read_opts(u->output.p, u->output.n, 0, NULL, NULL);
	yyjson_val *root = yyjson_doc_get_root(doc), *manifest = yyjson_obj_get(root, "manifest");
	int64_t status = 500;
	bool ok = false;
	char *text = NULL;
	size_t n = 0;

	json_bool(root, "ok", &ok);
	if (ok && manifest)
		text = yyjson_val_write_opts(manifest, 0, NULL, &n, NULL);
	if (ok && text && manifest_read_json(region, slice_make(text, n), &out->manifest) == 0) {
		out->status = 0;
		out->dir = json_text(region, root, "dir").p;
	} else if (!ok && yyjson_is_obj(root)) {
		json_i64(root, "status", &status);
		out->status = status >= 400 && status < 600 ? (int)status : 500;
		out->type = json_text(region, root, "type").p;
		out->message = json_text(region, root, "message").p;
	}
	free(text);
	yyjson_doc_free(doc);
}

static void unpack_exited(struct child *c, int status)
{
	struct unpack *u = container_of(c, struct unpack, child);
	struct region region;
	struct unpacked out = { .status = 500,
				.type = "InternalServerException",
				.region = &region };
	char how[96], text[512];

	unpack_read(u);
	unpack_close(u);
	region_init(&region);
	child_describe(status, how, sizeof(how));
	snprintf(text, sizeof(text), "The archive could not be unpacked: the unpacking process %s",
		 how);
	out.message = text;
	if (status == 0)
		unpack_parse(u, &out, &region);
	/* A directory is served from where it lies. */
	out.own_dir = !out.status && out.dir && strncmp(out.dir, u->target, strlen(u->target)) == 0;
	if (!out.status && !out.dir)
		out.status = 500;
	unpack_report(u, &out);
	region_finish(&region);
}

static int unpack_spawn(struct unpack *u)
{
	struct fleet *f = u->fleet;
	const struct settings *s = f->settings;
	_cleanup_(freep) char *bytes = mem_printf("%llu", (unsigned long long)s->max_archive_size);
	_cleanup_(freep) char *entries = mem_printf("%llu",
						    (unsigned long long)s->max_archive_entries);
	_cleanup_(freep) char *ratio = mem_printf("%llu", (unsigned long long)s->max_archive_ratio);
	static char a_cmd[] = "unpack", a_src[] = "--source", a_into[] = "--into",
		    a_bytes[] = "--max-bytes", a_entries[] = "--max-entries",
		    a_ratio[] = "--max-ratio", a_hint[] = "--name-hint";
	char *argv[] = { f->executable,
			 a_cmd,
			 a_src,
			 u->source,
			 a_into,
			 u->target,
			 a_bytes,
			 bytes,
			 a_entries,
			 entries,
			 a_ratio,
			 ratio,
			 u->name_hint ? a_hint : NULL,
			 u->name_hint,
			 NULL };
	struct spawn spawn = { .file = f->executable,
			       .argv = argv,
			       .environment = environ,
			       .fds = { -1, -1, STDERR_FILENO, -1 } };
	int pair[2], r;

	if (pipe2(pair, O_CLOEXEC) < 0)
		return -errno;
	fcntl(pair[0], F_SETFL, O_NONBLOCK);
	spawn.fds[1] = pair[1];
	u->fd = pair[0];
	u->poll = mem_new(uv_poll_t);
	u->poll->data = u;
	uv_poll_init(f->loop, u->poll, u->fd);
	uv_poll_start(u->poll, UV_READABLE, unpack_ready);
	r = child_spawn(&f->children, &u->child, &spawn, unpack_exited);
	close(pair[1]);
	if (r)
		unpack_close(u);
	return r;
}

static void unpack_next(struct fleet *f)
{
	while (f->unpacking < UNPACK_AT_ONCE && !list_empty(&f->unpack_queue) && !f->stopping) {
		struct unpack *u = container_of(list_pop(&f->unpack_queue), struct unpack, link);
		struct unpacked failed = {
			.status = 500,
			.type = "InternalServerException",
			.message = "The unpacking process could not be started"
		};

		list_push_back(&f->unpack_running, &u->link);
		f->unpacking++;
		if (unpack_spawn(u) < 0)
			unpack_report(u, &failed);
	}
}

void unpack_start(struct fleet *f, const char *source, struct slice name_hint,
		  void (*done)(void *arg, struct unpacked *u), void *arg)
{
	struct unpack *u = mem_new(struct unpack);
	char id[UUID_LEN + 1];

	uuid_make(id);
	u->fleet = f;
	u->source = mem_strdup(source);
	u->target = mem_printf("%s/%s", f->workdir.path, id);
	u->name_hint = name_hint.n ? slice_dup(name_hint) : NULL;
	u->done = done;
	u->arg = arg;
	buf_init(&u->output, UNPACK_OUTPUT_MAX);
	list_push_back(&f->unpack_queue, &u->link);
	unpack_next(f);
}

/* Whoever waits for it is told, and gives back what it holds. */
static void unpack_abandon(struct unpack *u)
{
	struct region region;
	struct unpacked stopped = { .status = 503,
				    .type = "ServiceUnavailableException",
				    .message = "The server is stopping",
				    .region = &region };

	region_init(&region);
	u->done(u->arg, &stopped);
	region_finish(&region);
	unpack_free(u);
}

void unpack_abandon_all(struct fleet *f)
{
	struct list *n;

	while ((n = list_first(&f->unpack_running))) {
		struct unpack *u = container_of(n, struct unpack, link);

		child_abandon(&u->child);
		unpack_close(u);
		file_remove_tree(u->target);
		unpack_abandon(u);
	}
	while ((n = list_first(&f->unpack_queue)))
		unpack_abandon(container_of(n, struct unpack, link));
}
