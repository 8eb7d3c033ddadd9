/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/workdir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
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

static int workdir_lock(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	closep(&fd);
	return -1;
}

struct sweep {
	struct work work;
	char *parent;
};

/* Only folders that carry our name, and only those whose server is gone. */
static void sweep_run(struct work *w)
{
	const char *parent = container_of(w, struct sweep, work)->parent;
	DIR *d = opendir(parent);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		_cleanup_(freep) char *path = mem_printf("%s/%s", parent, e->d_name);
		_cleanup_(closep) int fd = -1;

		if (strncmp(e->d_name, WORKDIR_PREFIX, strlen(WORKDIR_PREFIX)) != 0)
			continue;
		fd = workdir_lock(path);
		if (fd >= 0)
			file_remove_tree(path);
	}
	if (d)
		closedir(d);
}

static void sweep_done(struct work *w)
{
	struct sweep *s = container_of(w, struct sweep, work);

	free(s->parent);
	free(s);
}

static void workdir_sweep(const char *parent, struct lane *l)
{
	struct sweep *s = mem_new(struct sweep);

	s->parent = mem_strdup(parent);
	lane_add(l, &s->work, sweep_run, sweep_done);
}

/* Between its making and its locking another server may sweep the folder away. */
static int workdir_claim(struct workdir *d, const char *parent)
{
	char id[UUID_LEN + 1];

	uuid_make(id);
	d->path = mem_printf("%s/" WORKDIR_PREFIX "%s", parent, id);
	if (mkdir(d->path, 0755) < 0)
		return -errno;
	d->lock = workdir_lock(d->path);
	if (d->lock >= 0 && access(d->path, F_OK) == 0)
		return 0;
	closep(&d->lock);
	d->lock = -1;
	free(TAKE(d->path));
	return -EAGAIN;
}

int workdir_make(struct workdir *d, const char *tmp, struct lane *removals)
{
	_cleanup_(freep) char *parent = mem_printf("%s/models", tmp ? tmp : "/tmp");
	int r = file_make_dirs(parent, 0755);

	*d = (struct workdir){ .lock = -1 };
	if (r < 0)
		return err_trace(r);
	workdir_sweep(parent, removals);
	do
		r = workdir_claim(d, parent);
	while (r == -EAGAIN);
	return r < 0 ? err_origin(r) : 0;
}

/* The lock goes last: until then nobody else may take the folder for a dead server's. */
static void workdir_removed(void *arg)
{
	struct workdir *d = arg;

	closep(&d->lock);
	*d = (struct workdir){ .lock = -1 };
}

void workdir_finish(struct workdir *d, struct lane *removals)
{
	if (d->lock >= 0)
		removal_add(removals, TAKE(d->path), workdir_removed, d);
	free(TAKE(d->path));
}
