/* SPDX-License-Identifier: Apache-2.0 */
#include "archive/pack.h"

/* Compressed tar, by libarchive. */

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <string.h>

#include "base/mem.h"

#define PACK_BLOCK (1 << 20)

struct pack_library {
	struct pack pack;
	struct archive *a;
	int fd;
	bool given_up;
};

static struct archive *library_of(struct pack *p)
{
	return container_of(p, struct pack_library, pack)->a;
}

static int library_error(struct archive *a)
{
	int error = archive_errno(a);

	return error > 0 ? -error : -EIO;
}

static int library_begin(struct pack *p, const char *name, uint64_t size)
{
	struct archive *a = library_of(p);
	struct archive_entry *e = archive_entry_new();
	int r;

	archive_entry_set_pathname(e, name);
	archive_entry_set_filetype(e, AE_IFREG);
	archive_entry_set_perm(e, 0644);
	archive_entry_set_size(e, (int64_t)size);
	archive_entry_set_mtime(e, PACK_TIME, 0);
	r = archive_write_header(a, e);
	archive_entry_free(e);
	return r == ARCHIVE_OK ? 0 : library_error(a);
}

static int library_piece(struct pack *p, struct slice piece)
{
	struct archive *a = library_of(p);

	return archive_write_data(a, piece.p, piece.n) == (la_ssize_t)piece.n ? 0
									      : library_error(a);
}

/* All of it is one stream: there is nothing to gain by storing a file. */
static int library_end(struct pack *p)
{
	(void)p;
	return 0;
}

static int library_close(struct pack *p)
{
	struct archive *a = library_of(p);

	return archive_write_close(a) == ARCHIVE_OK ? 0 : library_error(a);
}

static struct pack *library_destroy(struct pack *p)
{
	struct pack_library *l = container_of(p, struct pack_library, pack);

	/* If it was not closed nothing more is written. archive_write_fail() would say so to the
	 * library, which then leaks what its filters have. */
	l->given_up = true;
	archive_write_free(l->a);
	free(l);
	return NULL;
}

static const struct pack_ops library_ops = {
	.begin = library_begin,
	.piece = library_piece,
	.end = library_end,
	.close = library_close,
	.destroy = library_destroy,
};

static la_ssize_t library_write(struct archive *a, void *arg, const void *p, size_t n)
{
	struct pack_library *l = arg;
	ssize_t done = -1;

	errno = ECANCELED;
	do {
		done = l->given_up ? -1 : write(l->fd, p, n);
	} while (done < 0 && errno == EINTR);
	if (done < 0)
		archive_set_error(a, errno, "%s", strerror(errno));
	return done;
}

static struct pack *library_create(struct archive *a, int fd)
{
	struct pack_library *l = mem_new(struct pack_library);

	archive_write_set_bytes_per_block(a, PACK_BLOCK);
	archive_write_set_bytes_in_last_block(a, 1);
	l->pack.ops = &library_ops;
	l->a = a;
	l->fd = fd;
	archive_write_open(a, l, NULL, library_write, NULL);
	return &l->pack;
}

struct pack *pack_tgz(int fd)
{
	struct archive *a = archive_write_new();

	archive_write_set_format_pax_restricted(a);
	archive_write_add_filter_gzip(a);
	archive_write_set_options(a, "gzip:compression-level=1,gzip:!timestamp");
	return library_create(a, fd);
}
