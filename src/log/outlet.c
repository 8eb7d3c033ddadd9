/* SPDX-License-Identifier: Apache-2.0 */
#include "log/outlet.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/util.h"

#define OUTLET_PATIENCE_MS 250 /* once; after that the outlet is stalled */

static void outlet_learn_kind(struct outlet *o)
{
	struct stat st;

	if (fstat(o->fd, &st) < 0)
		return;
	o->regular = S_ISREG(st.st_mode);
	o->socket = S_ISSOCK(st.st_mode);
	o->size = o->regular ? (uint64_t)st.st_size : 0;
}

void outlet_init_file(struct outlet *o, char *path, uint64_t rotate_bytes, unsigned rotate_keep)
{
	*o = (struct outlet){ .path = path,
			      .fd = -1,
			      .owned = true,
			      .rotate_bytes = rotate_bytes,
			      .rotate_keep = rotate_keep };
}

/*
 * Setting O_NONBLOCK on the descriptor we were given would set it for the shell that shares it.
 * Opening the same pipe or terminal again gives a description of our own.
 */
void outlet_init_console(struct outlet *o, int fd)
{
	char name[sizeof("/proc/self/fd/") + 11];
	int own;

	*o = (struct outlet){ .fd = fd };
	outlet_learn_kind(o);
	if (o->regular || o->socket)
		return;
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	own = open(name, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	o->owned = own >= 0;
	o->blocking = !o->owned;
	if (o->owned)
		o->fd = own;
	else if (fcntl(fd, F_GETFD) < 0)
		o->fd = -1;
}

static void outlet_close(struct outlet *o)
{
	if (o->fd >= 0 && o->owned)
		close(o->fd);
	o->fd = -1;
	o->size = 0;
	o->mid_line = o->stalled = false;
}

void outlet_finish(struct outlet *o)
{
	if (o->stage)
		outlet_flush(o);
	outlet_close(o);
	free(o->stage);
	free(o->path);
	*o = (struct outlet){ .fd = -1 };
}

/* O_NONBLOCK matters where the name leads to a pipe or a device (access_log.log -> /dev/stdout). */
int outlet_open(struct outlet *o)
{
	if (o->fd >= 0)
		return 0;
	if (o->path)
		o->fd = open(o->path,
			     O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
			     0644);
	if (o->fd < 0)
		return o->path ? -errno : -EBADF;
	outlet_learn_kind(o);
	return 0;
}

static bool outlet_writable(struct outlet *o)
{
	struct pollfd p = { .fd = o->fd, .events = POLLOUT };

	return poll(&p, 1, o->stalled ? 0 : OUTLET_PATIENCE_MS) > 0;
}

static ssize_t outlet_write_once(struct outlet *o, const char *p, size_t n)
{
	if (o->socket)
		return send(o->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	/* A pipe that polls as writable takes this much without blocking. */
	if (o->blocking) {
		if (!outlet_writable(o)) {
			errno = EAGAIN;
			return -1;
		}
		n = MIN(n, (size_t)PIPE_BUF);
	}
	return write(o->fd, p, n);
}

/* Writes as much as is taken; returns the bytes. Leaves the reason in `error` if not all. */
static size_t outlet_write(struct outlet *o, const char *p, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t r = outlet_write_once(o, p + done, n - done);

		if (r > 0) {
			done += (size_t)r;
			o->stalled = false;
		} else if (r < 0 && errno == EINTR) {
			continue;
		} else if (r < 0 && errno == EAGAIN && !o->blocking && !o->stalled &&
			   outlet_writable(o)) {
			continue;
		} else {
			o->error = r < 0 ? -errno : -EIO;
			o->stalled = o->error == -EAGAIN;
			break;
		}
	}
	return done;
}

static uint64_t outlet_count_lines(const char *p, size_t n)
{
	uint64_t lines = 0;

	for (size_t i = 0; i < n; i++)
		lines += p[i] == '\n';
	return lines;
}

/* Whole lines, to the end or as far as they are taken. */
static void outlet_send(struct outlet *o, const char *p, size_t n)
{
	size_t done = 0;
	int r = outlet_open(o);

	if (r < 0)
		o->error = r;
	else if (!o->mid_line || outlet_write(o, "\n", 1) == 1)
		done = outlet_write(o, p, n);
	if (done)
		o->mid_line = p[done - 1] != '\n';
	o->size += done;
	if (done == n)
		return;
	o->lost += outlet_count_lines(p + done, n - done);
	/* A console that fails has gone for good; a file may be openable again. */
	if (o->error != -EAGAIN && o->error != -ENOSPC)
		outlet_close(o);
}

void outlet_flush(struct outlet *o)
{
	if (o->staged)
		outlet_send(o, o->stage, o->staged);
	o->staged = 0;
}

static void outlet_rotated_name(char *name, size_t n, const struct outlet *o, unsigned k)
{
	if (k)
		snprintf(name, n, "%s.%u", o->path, k);
	else
		snprintf(name, n, "%s", o->path);
}

static void outlet_rotate(struct outlet *o)
{
	char from[PATH_MAX], to[PATH_MAX];

	outlet_flush(o);
	for (unsigned k = o->rotate_keep; k > 0; k--) {
		outlet_rotated_name(from, sizeof(from), o, k - 1);
		outlet_rotated_name(to, sizeof(to), o, k);
		if (rename(from, to) < 0 && errno != ENOENT)
			o->error = -errno;
	}
	if (!o->rotate_keep)
		unlink(o->path);
	outlet_close(o);
	/* Where renaming is not allowed the old file goes on, rather than failing at every line. */
	if (outlet_open(o) == 0)
		o->size = 0;
}

static bool outlet_is_full(const struct outlet *o, size_t n)
{
	uint64_t now = o->size + o->staged;

	return o->rotate_bytes && o->path && o->regular && now && now + n > o->rotate_bytes;
}

static void outlet_put_large(struct outlet *o, struct slice a, struct slice b)
{
	_cleanup_(freep) char *whole = mem_alloc(a.n + b.n);

	memcpy(whole, a.p, a.n);
	if (b.n)
		memcpy(whole + a.n, b.p, b.n);
	outlet_flush(o);
	outlet_send(o, whole, a.n + b.n);
}

void outlet_put(struct outlet *o, struct slice a, struct slice b)
{
	size_t n = a.n + b.n;

	if (!o->stage)
		o->stage = mem_alloc(OUTLET_STAGE);
	if (o->staged + n > OUTLET_STAGE)
		outlet_flush(o);
	if (o->path && !o->staged)
		(void)outlet_open(o);
	if (outlet_is_full(o, n))
		outlet_rotate(o);
	if (n > OUTLET_STAGE) {
		outlet_put_large(o, a, b);
		return;
	}
	memcpy(o->stage + o->staged, a.p, a.n);
	if (b.n)
		memcpy(o->stage + o->staged + a.n, b.p, b.n);
	o->staged += n;
}

void outlet_reopen(struct outlet *o)
{
	outlet_flush(o);
	if (o->path && o->fd >= 0)
		outlet_close(o);
}
