/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/mem.h"

#define FILE_CHUNK ((size_t)64 * 1024)

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

int file_write_atomic(const char *path, struct slice content, unsigned mode)
{
	_cleanup_(freep) char *tmp = mem_printf("%s.%d.tmp", path, (int)getpid());
	_cleanup_(closep) int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
					mode);
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

static int file_remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path) < 0 && errno != ENOENT ? -errno : 0;
}

int file_remove_tree(const char *path)
{
	int r = nftw(path, file_remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);

	if (r == -1)
		r = errno == ENOENT ? 0 : -errno;
	return r;
}
