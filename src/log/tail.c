/* SPDX-License-Identifier: Apache-2.0 */
#include "log/tail.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/util.h"

/* ---- the bytes ---- */

static int tail_open(const char *path, uint64_t *ret_size)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return -ENOTSUP;
	}
	*ret_size = (uint64_t)st.st_size;
	return fd;
}

/* The last `most` bytes of it; what is written meanwhile is left for the next time. */
static int tail_append(struct log_tail *t, int fd, uint64_t size, size_t most)
{
	size_t want = (size_t)MIN(size, (uint64_t)most);
	off_t at = (off_t)(size - want);

	t->more = t->more || size > want;
	while (want) {
		char *p = buf_reserve(&t->text, want);
		ssize_t n = p ? pread(fd, p, want, at) : -1;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -EIO : 0; /* it is shorter by now */
		buf_added(&t->text, (size_t)n);
		want -= (size_t)n;
		at += n;
	}
	return 0;
}

/* The file that was rotated last comes before this one, and both fit together. */
static void tail_append_older(struct log_tail *t, const char *path, uint64_t newer)
{
	_cleanup_(freep) char *older = mem_printf("%s.1", path);
	_cleanup_(closep) int fd = -1;
	uint64_t size;

	if (newer >= LOG_TAIL_READ)
		return;
	fd = tail_open(older, &size);
	if (fd >= 0)
		tail_append(t, fd, size, LOG_TAIL_READ - (size_t)newer);
}

static int tail_load(struct log_tail *t, const char *path)
{
	_cleanup_(closep) int fd = -1;
	uint64_t size;

	buf_init(&t->text, LOG_TAIL_READ);
	fd = tail_open(path, &size);
	if (fd < 0)
		return fd;
	tail_append_older(t, path, size);
	return tail_append(t, fd, size, LOG_TAIL_READ - t->text.n);
}

/* ---- its lines ---- */

/* "W-9000-", which begins a worker's name. */
static bool tail_names_worker(struct slice line, struct slice worker)
{
	struct slice name = slice_make(line.p, line.n);

	if (!worker.n)
		return true;
	for (;;) {
		const char *at = memmem(name.p, name.n, "W-", 2);

		if (!at)
			return false;
		name = slice_make(at + 2, (size_t)(name.p + name.n - at) - 2);
		if (slice_starts(name, worker) && name.n > worker.n && name.p[worker.n] == '-')
			return true;
	}
}

/* Reverses a stretch of them. */
static void tail_reverse(struct slice *lines, unsigned from, unsigned to)
{
	while (from + 1 < to) {
		struct slice x = lines[from];

		lines[from++] = lines[--to];
		lines[to] = x;
	}
}

/* They were written round and round: `first` is the oldest. */
static void tail_unroll(struct log_tail *t, unsigned first)
{
	tail_reverse(t->lines, 0, first);
	tail_reverse(t->lines, first, t->n);
	tail_reverse(t->lines, 0, t->n);
}

/* Of too much text the oldest lines go. */
static void tail_bound(struct log_tail *t)
{
	size_t total = 0;
	unsigned keep = 0;

	while (keep < t->n && total + t->lines[t->n - 1 - keep].n <= LOG_TAIL_TEXT)
		total += t->lines[t->n - 1 - keep++].n;
	t->more = t->more || keep < t->n;
	memmove(t->lines, t->lines + t->n - keep, keep * sizeof(*t->lines));
	t->n = keep;
}

int log_tail_read(struct log_tail *t, const char *path, const struct log_filter *f,
		  struct slice worker, unsigned lines)
{
	struct log_trail trail = { 0 };
	unsigned taken = 0;
	struct slice rest;
	int r;

	assert(lines && lines <= LOG_TAIL_LINES);
	t->n = 0;
	t->more = false;
	r = tail_load(t, path);
	if (r < 0)
		return r;
	rest = buf_slice(&t->text);
	if (t->more)
		slice_cut(&rest, '\n'); /* it may begin before what we have */
	while (rest.n) {
		struct slice line = slice_cut(&rest, '\n');

		if (!line.n || !log_trail_takes(&trail, f, line) ||
		    !tail_names_worker(line, worker))
			continue;
		t->lines[taken++ % lines] = line;
	}
	t->n = MIN(taken, lines);
	t->more = t->more || taken > lines;
	tail_unroll(t, taken > lines ? taken % lines : 0);
	tail_bound(t);
	return 0;
}

void log_tail_finish(struct log_tail *t)
{
	buf_finish(&t->text);
}
