/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"

#define FILE_CHUNK ((size_t)64 * 1024)
#define FILE_DEPTH_MAX ((size_t)4096)
#define FILE_OPEN_MAX ((size_t)16)
#define FILE_TRIES 8
#define FILE_PATH_MAX 4096

static int file_read_all(int fd, struct buf *out)
{
	for (;;) {
		size_t want = MIN(FILE_CHUNK, out->max - out->n);
		char *at = buf_reserve(out, want ? want : 1);
		ssize_t n;

		if (!at) {
			/* Full: fine if the file ends exactly here. */
			out->overflowed = read(fd, &(char){ 0 }, 1) != 0;
			return out->overflowed ? -ENOBUFS : 0;
		}
		n = read(fd, at, want);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;
		buf_added(out, (size_t)n);
	}
}

int file_read(const char *path, struct buf *out)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return S_ISDIR(st.st_mode) ? -EISDIR : -ENOTSUP;
	return file_read_all(fd, out);
}

int file_read_stream(const char *path, struct buf *out)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : file_read_all(fd, out);
}

static int file_write_all(int fd, struct slice s)
{
	while (s.n) {
		ssize_t n = write(fd, s.p, s.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		s.p += n;
		s.n -= (size_t)n;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

static void file_sync_parent(const char *path)
{
	const char *slash = strrchr(path, '/');
	_cleanup_(freep) char *dir = slash ? mem_strndup(path,
							 slash > path ? (size_t)(slash - path) : 1)
					   : mem_strdup(".");
	_cleanup_(closep) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		fsync(fd);
}

/* A new file that nobody else has open: what lies there, of a process that was killed or of
 * somebody who waits to read along, is not written to. */
static int file_create_new(const char *path, unsigned mode)
{
	int fd = -1;

	for (int i = 0; i < FILE_TRIES && fd < 0; i++) {
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
		if (fd < 0 && (errno != EEXIST || unlink(path) < 0))
			break;
	}
	return fd;
}

int file_write_atomic(const char *path, struct slice content, unsigned mode)
{
	_cleanup_(freep) char *tmp = mem_printf("%s.%d.tmp", path, (int)getpid());
	_cleanup_(closep) int fd = file_create_new(tmp, mode);
	int r;

	if (fd < 0)
		return err_origin(-errno);
	r = file_write_all(fd, content);
	if (!r && rename(tmp, path) < 0)
		r = -errno;
	if (r) {
		unlink(tmp);
		return err_origin(r);
	}
	file_sync_parent(path);
	return 0;
}

int file_make_dirs(const char *path, unsigned mode)
{
	_cleanup_(freep) char *p = mem_strdup(path);

	for (char *at = p + 1;; at++) {
		char c = *at;

		if (c && c != '/')
			continue;
		*at = '\0';
		if (mkdir(p, mode) < 0 && errno != EEXIST)
			return err_origin(-errno);
		*at = c;
		if (!c)
			return 0;
	}
}

/* ---- removing trees ---- */

/* A folder on the way down from the root. Only the innermost FILE_OPEN_MAX are open, so that the
 * depth of a tree costs no descriptors; the others are found again from within. */
struct file_level {
	char *name;
	DIR *d; /* NULL: closed */
	dev_t dev;
	ino_t ino;
};

struct file_tree {
	struct file_level *levels;
	size_t n;
};

static void file_level_finish(struct file_level *l)
{
	if (l->d)
		closedir(l->d);
	free(l->name);
}

static void file_tree_finish(struct file_tree *t)
{
	while (t->n)
		file_level_finish(&t->levels[--t->n]);
	free(t->levels);
}

/* The stream has the descriptor, or nobody has. */
static int file_open_level(struct file_level *l, int fd)
{
	struct stat st;
	int r = 0;

	l->d = NULL;
	if (fd < 0 || fstat(fd, &st) < 0 || !(l->d = fdopendir(fd))) {
		r = -errno;
		closep(&fd);
		return r;
	}
	l->dev = st.st_dev;
	l->ino = st.st_ino;
	return 0;
}

/* Makes `name` in `from` the innermost. */
static int file_tree_enter(struct file_tree *t, int from, const char *name)
{
	struct file_level l;
	int r = file_open_level(
		&l, openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));

	if (r)
		return r;
	l.name = mem_strdup(name);
	if (t->n == FILE_DEPTH_MAX || (t->n && l.dev != t->levels[0].dev)) {
		file_level_finish(&l);
		return t->n == FILE_DEPTH_MAX ? -ELOOP : -EXDEV;
	}
	t->levels = mem_realloc(t->levels, (t->n + 1) * sizeof(*t->levels));
	t->levels[t->n++] = l;
	if (t->n > FILE_OPEN_MAX) {
		struct file_level *outer = &t->levels[t->n - 1 - FILE_OPEN_MAX];

		/* It may be closed since we were further down. */
		if (outer->d)
			closedir(TAKE(outer->d));
	}
	return 0;
}

/* The innermost is empty: removes it from the one around it, which must still be the one from which
 * it was entered. */
static int file_tree_leave(struct file_tree *t)
{
	struct file_level *inner = &t->levels[t->n - 1], *outer = inner - 1, was;
	int r = 0;

	if (t->n > 1 && !outer->d) {
		was = *outer;
		r = file_open_level(
			outer, openat(dirfd(inner->d), "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
		if (!r && (outer->dev != was.dev || outer->ino != was.ino))
			r = -ESTALE;
	}
	if (!r && t->n > 1 && unlinkat(dirfd(outer->d), inner->name, AT_REMOVEDIR) < 0 &&
	    errno != ENOENT)
		r = -errno;
	file_level_finish(inner);
	t->n--;
	return r;
}

/* 0: it is gone; 1: it is a folder; -errno. */
static int file_remove_plain(int folder, const char *name)
{
	if (unlinkat(folder, name, 0) == 0 || errno == ENOENT)
		return 0;
	return errno == EISDIR || errno == EPERM ? 1 : -errno;
}

/* One entry of the innermost. */
static int file_tree_step(struct file_tree *t)
{
	DIR *d = t->levels[t->n - 1].d;
	struct dirent *e = readdir(d);
	int r;

	if (!e)
		return file_tree_leave(t);
	if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
		return 0;
	r = file_remove_plain(dirfd(d), e->d_name);
	return r == 1 ? file_tree_enter(t, dirfd(d), e->d_name) : r;
}

static bool file_is_late(const _Atomic uint64_t *until_ns)
{
	uint64_t until = *until_ns;

	return until && clock_now_ns() >= until;
}

int file_remove_tree_until(int folder, const char *name, const _Atomic uint64_t *until_ns)
{
	_cleanup_(file_tree_finish) struct file_tree t = { 0 };
	int r = file_is_late(until_ns) ? -ETIMEDOUT : file_remove_plain(folder, name);

	if (r != 1)
		return r;
	r = file_tree_enter(&t, folder, name);
	while (!r && t.n)
		r = file_is_late(until_ns) ? -ETIMEDOUT : file_tree_step(&t);
	if (!r && unlinkat(folder, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		r = -errno;
	return r;
}

int file_remove_tree_at(int folder, const char *name)
{
	static const _Atomic uint64_t never;

	return file_remove_tree_until(folder, name, &never);
}

int file_remove_tree(const char *path)
{
	return file_remove_tree_at(AT_FDCWD, path);
}

char *file_beside_us(const char *path)
{
	char self[FILE_PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	self[MAX(n, 0)] = '\0';
	slash = strrchr(self, '/');
	return slash ? mem_printf("%.*s/%s", (int)(slash - self), self, path) : NULL;
}
