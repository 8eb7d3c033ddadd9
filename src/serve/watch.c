/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/watch.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/list.h"
#include "base/mem.h"
#include "base/slice.h"
#include "base/util.h"
#include "log/log.h"
#include "loop/turn.h"
#include "loop/work.h"

#define WATCH_SETTLE_MS 50
#define WATCH_DEPTH_MAX 16
#define WATCH_FOLDERS_MAX 512
#define WATCH_ENTRIES_MAX 50000

struct folder {
	struct list link;
	char *path;
	uint64_t inode;
	uv_fs_event_t *event;
	struct watch *watch;
};

/* What a look has found. */
struct look {
	char **paths; /* of folders */
	uint64_t *inodes;
	unsigned n, entries;
	uint64_t print; /* of all files that matter, together */
};

struct watch {
	uv_loop_t *loop;
	const char *const *places;
	struct list folders;
	uv_timer_t *settle;
	struct work work;
	struct look look;
	uint64_t print;
	bool looking, again, known, over;
	char *name; /* of the last file that an event told of */
	void (*changed)(void *arg, const char *name);
	void *arg;
};

/* ---- which files ---- */

static bool watch_is_source(const char *name)
{
	static const char *const endings[] = { ".py", ".yaml", ".yml", ".json" };

	for (size_t i = 0; i < ARRAY_LEN(endings); i++)
		if (name[0] != '.' && slice_ends(slice_str(name), slice_str(endings[i])))
			return true;
	return false;
}

static bool watch_enters(int at, const char *name)
{
	static const char *const never[] = { "__pycache__", "node_modules", "site-packages" };
	_cleanup_(freep) char *mark = mem_printf("%s/pyvenv.cfg", name);

	for (size_t i = 0; i < ARRAY_LEN(never); i++)
		if (strcmp(name, never[i]) == 0)
			return false;
	if (slice_starts(slice_str(name), SLICE("sconce-dev-")))
		return false; /* TMPDIR is in there, and we have made links in it */
	return name[0] != '.' && faccessat(at, mark, F_OK, 0) < 0;
}

/* ---- looking, by a thread of the pool ---- */

static void look_mix(uint64_t *h, uint64_t value)
{
	*h = (*h ^ value) * UINT64_C(0x100000001b3);
}

/* The sum does not depend on the order in which a folder tells its entries. */
static void look_add_file(struct look *l, const char *name, const struct stat *st)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (const char *c = name; *c; c++)
		look_mix(&h, (unsigned char)*c);
	look_mix(&h, st->st_ino);
	look_mix(&h, (uint64_t)st->st_size);
	look_mix(&h, (uint64_t)st->st_mtim.tv_sec);
	look_mix(&h, (uint64_t)st->st_mtim.tv_nsec);
	l->print += h;
}

static bool look_add_folder(struct look *l, const char *path, uint64_t inode)
{
	for (unsigned i = 0; i < l->n; i++)
		if (strcmp(l->paths[i], path) == 0)
			return true;
	if (l->n == WATCH_FOLDERS_MAX)
		return false;
	l->paths = mem_realloc(l->paths, (l->n + 1) * sizeof(*l->paths));
	l->inodes = mem_realloc(l->inodes, (l->n + 1) * sizeof(*l->inodes));
	l->paths[l->n] = mem_strdup(path);
	l->inodes[l->n++] = inode;
	return true;
}

static void look_in(struct look *l, const char *path, unsigned depth);

static void look_at(struct look *l, int at, const char *folder, const char *name, unsigned depth)
{
	_cleanup_(freep) char *path = mem_printf("%s/%s", folder, name);
	struct stat st;

	if (name[0] == '.' || fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	if (S_ISDIR(st.st_mode) && depth < WATCH_DEPTH_MAX && watch_enters(at, name))
		look_in(l, path, depth + 1);
	else if (watch_is_source(name) && fstatat(at, name, &st, 0) == 0)
		look_add_file(l, path, &st);
}

static void look_in(struct look *l, const char *path, unsigned depth)
{
	DIR *d = opendir(path);
	struct dirent *e;
	struct stat st;

	if (!d)
		return;
	if (fstat(dirfd(d), &st) == 0 && look_add_folder(l, path, st.st_ino))
		while ((e = readdir(d)) && l->entries++ < WATCH_ENTRIES_MAX)
			look_at(l, dirfd(d), path, e->d_name, depth);
	closedir(d);
}

/* A file that may be replaced: its folder tells of it. */
static void look_for(struct look *l, const char *path)
{
	_cleanup_(freep) char *folder = mem_strdup(path);
	char *slash = strrchr(folder, '/');
	struct stat st;

	if (stat(path, &st) == 0)
		look_add_file(l, path, &st);
	if (!slash)
		return;
	*slash = '\0';
	if (stat(slash == folder ? "/" : folder, &st) == 0)
		look_add_folder(l, slash == folder ? "/" : folder, st.st_ino);
}

static void watch_look(struct work *w)
{
	struct watch *watch = container_of(w, struct watch, work);
	struct stat st;

	for (size_t i = 0; watch->places[i]; i++) {
		const char *path = watch->places[i];

		if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
			look_in(&watch->look, path, 0);
		else
			look_for(&watch->look, path);
	}
}

static void look_finish(struct look *l)
{
	for (unsigned i = 0; i < l->n; i++)
		free(l->paths[i]);
	free(l->paths);
	free(l->inodes);
	*l = (struct look){ 0 };
}

/* ---- being told ---- */

static void watch_event_closed(uv_handle_t *h)
{
	free(h);
}

static void folder_free(struct folder *f)
{
	list_remove(&f->link);
	uv_close((uv_handle_t *)f->event, watch_event_closed);
	free(f->path);
	free(f);
}

static void watch_look_soon(struct watch *w);

static void watch_event(uv_fs_event_t *e, const char *name, int events, int status)
{
	struct folder *f = e->data;

	TURN(e);
	(void)events, (void)status;
	if (name && watch_is_source(name)) {
		free(f->watch->name);
		f->watch->name = mem_strdup(name);
	}
	watch_look_soon(f->watch);
}

static void watch_add(struct watch *w, const char *path, uint64_t inode)
{
	struct folder *f = mem_new(struct folder);
	int r;

	f->watch = w;
	f->path = mem_strdup(path);
	f->inode = inode;
	f->event = mem_new(uv_fs_event_t);
	f->event->data = f;
	uv_fs_event_init(w->loop, f->event);
	list_push_back(&w->folders, &f->link);
	r = uv_fs_event_start(f->event, watch_event, path, 0);
	if (r < 0)
		log_error("%s cannot be watched: %s", path, uv_strerror(r));
}

/* A folder that was made anew is another one. */
static void watch_update(struct watch *w)
{
	const struct look *l = &w->look;

	list_for_each_safe (n, &w->folders) {
		struct folder *f = container_of(n, struct folder, link);
		unsigned i = 0;

		while (i < l->n && (f->inode != l->inodes[i] || strcmp(f->path, l->paths[i]) != 0))
			i++;
		if (i == l->n)
			folder_free(f);
	}
	for (unsigned i = 0; i < l->n; i++) {
		bool known = false;

		list_for_each (n, &w->folders)
			known |= strcmp(container_of(n, struct folder, link)->path, l->paths[i]) ==
				 0;
		if (!known) {
			watch_add(w, l->paths[i], l->inodes[i]);
			w->again = true; /* it may have been written to before */
		}
	}
}

static void watch_free(struct watch *w)
{
	list_for_each_safe (n, &w->folders)
		folder_free(container_of(n, struct folder, link));
	look_finish(&w->look);
	free(w->name);
	free(w);
}

static void watch_looked(struct work *work)
{
	struct watch *w = container_of(work, struct watch, work);
	bool other = w->known && w->look.print != w->print;
	_cleanup_(freep) char *name = NULL;

	w->looking = false;
	if (w->over) {
		watch_free(w);
		return;
	}
	watch_update(w);
	w->print = w->look.print;
	w->known = true;
	look_finish(&w->look);
	if (TAKE(w->again))
		watch_look_soon(w);
	if (!other)
		return;
	name = TAKE(w->name);
	w->changed(w->arg, name);
}

static void watch_settled(uv_timer_t *t)
{
	struct watch *w = t->data;

	TURN(t);
	if (w->looking) {
		w->again = true;
		return;
	}
	w->looking = true;
	work_start(w->loop, &w->work, watch_look, watch_looked);
}

static void watch_look_soon(struct watch *w)
{
	if (!w->over && !uv_is_active((uv_handle_t *)w->settle))
		uv_timer_start(w->settle, watch_settled, WATCH_SETTLE_MS, 0);
}

struct watch *watch_create(uv_loop_t *loop, const char *const *places,
			   void (*changed)(void *arg, const char *name), void *arg)
{
	struct watch *w = mem_new(struct watch);

	*w = (struct watch){ .loop = loop, .places = places, .changed = changed, .arg = arg };
	list_init(&w->folders);
	w->settle = mem_new(uv_timer_t);
	w->settle->data = w;
	uv_timer_init(loop, w->settle);
	uv_timer_start(w->settle, watch_settled, 0, 0);
	return w;
}

void watch_destroy(struct watch *w)
{
	w->over = true;
	uv_close((uv_handle_t *)w->settle, watch_event_closed);
	if (!w->looking)
		watch_free(w);
}
