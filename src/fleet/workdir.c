/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/workdir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/util.h"
#include "base/uuid.h"
#include "fleet/removal.h"

#define WORKDIR_PREFIX "sconce-"

static int workdir_lock(int parent, const char *name)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	closep(&fd);
	return -1;
}

/* ---- where it may be ---- */

static bool workdir_trusts(uid_t owner)
{
	return owner == geteuid() || owner == 0;
}

/* Whoever may write to the folder around them can replace the models of this server. A link is as
 * good as its owner: in /tmp anybody makes some. */
static int workdir_check(const char *parent, const struct stat *link, const struct stat *folder,
			 struct buf *why)
{
	uid_t owner = workdir_trusts(link->st_uid) ? folder->st_uid : link->st_uid;

	if (!workdir_trusts(owner))
		buf_printf(why, "%s belongs to another user (uid %u)", parent, (unsigned)owner);
	else if (folder->st_mode & S_IWOTH)
		buf_printf(why, "every user may write to %s", parent);
	else
		return 0;
	buf_puts(why, ", who could replace the models that are unpacked there; let TEMP or tmp_dir "
		      "name a folder of the server's own");
	return -EPERM;
}

/* A descriptor of the folder, or -errno with a sentence. */
static int workdir_open_parent(const char *parent, struct buf *why)
{
	_cleanup_(closep) int fd = -1;
	struct stat link, folder;
	int r = file_make_dirs(parent, 0755);

	if (!r && lstat(parent, &link) < 0)
		r = -errno;
	if (!r &&
	    ((fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0 || fstat(fd, &folder) < 0))
		r = -errno;
	if (r) {
		buf_printf(why,
			   "archives are unpacked in %s, which cannot be used: %s; let TEMP or "
			   "tmp_dir name another folder",
			   parent, strerror(-r));
		return r;
	}
	r = workdir_check(parent, &link, &folder, why);
	if (r)
		return r;
	r = fd;
	fd = -1;
	return r;
}

/* ---- what is left of others ---- */

struct sweep {
	struct work work;
	struct removals *removals;
	int parent;
};

/* Only folders that carry our name, and only those whose server is gone. */
static void sweep_run(struct work *w)
{
	const struct sweep *s = container_of(w, struct sweep, work);
	int copy = openat(s->parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *e;
	int r = 0;

	if (!d)
		closep(&copy);
	while (d && r != -ETIMEDOUT && (e = readdir(d))) {
		_cleanup_(closep) int fd = -1;

		if (strncmp(e->d_name, WORKDIR_PREFIX, strlen(WORKDIR_PREFIX)) != 0)
			continue;
		fd = workdir_lock(s->parent, e->d_name);
		if (fd >= 0)
			r = file_remove_tree_until(s->parent, e->d_name, &s->removals->until_ns);
	}
	if (d)
		closedir(d);
}

static void sweep_done(struct work *w)
{
	struct sweep *s = container_of(w, struct sweep, work);

	close(s->parent);
	free(s);
}

/* Takes the descriptor. */
static void workdir_sweep(int parent, struct removals *rs)
{
	struct sweep *s = mem_new(struct sweep);

	s->removals = rs;
	s->parent = parent;
	lane_add(&rs->lane, &s->work, sweep_run, sweep_done);
}

/* ---- its own ---- */

/* Between its making and its locking another server may sweep the folder away. */
static int workdir_claim(struct workdir *d, int parent, const char *path)
{
	char id[UUID_LEN + 1], name[sizeof(WORKDIR_PREFIX) + UUID_LEN];

	uuid_make(id);
	snprintf(name, sizeof(name), WORKDIR_PREFIX "%s", id);
	if (mkdirat(parent, name, 0755) < 0)
		return -errno;
	d->lock = workdir_lock(parent, name);
	if (d->lock >= 0 && faccessat(parent, name, F_OK, 0) == 0) {
		d->path = mem_printf("%s/%s", path, name);
		return 0;
	}
	closep(&d->lock);
	d->lock = -1;
	return -EAGAIN;
}

int workdir_make(struct workdir *d, const char *tmp, struct removals *sweeps, struct buf *why)
{
	_cleanup_(freep) char *path = mem_printf("%s/models", tmp ? tmp : "/tmp");
	int parent = workdir_open_parent(path, why), r;

	*d = (struct workdir){ .lock = -1 };
	if (parent < 0)
		return err_origin(parent);
	do
		r = workdir_claim(d, parent, path);
	while (r == -EAGAIN);
	if (r)
		buf_printf(why,
			   "no folder can be made in %s: %s; let TEMP or tmp_dir name another "
			   "folder",
			   path, strerror(-r));
	workdir_sweep(parent, sweeps);
	return r < 0 ? err_origin(r) : 0;
}

/* The lock goes last: until then nobody else may take the folder for a dead server's. */
static void workdir_removed(void *arg)
{
	struct workdir *d = arg;

	closep(&d->lock);
	*d = (struct workdir){ .lock = -1 };
}

void workdir_finish(struct workdir *d, struct removals *removals)
{
	if (d->lock >= 0)
		removal_add(removals, TAKE(d->path), workdir_removed, d);
	free(TAKE(d->path));
}
