/* SPDX-License-Identifier: Apache-2.0 */
#include "archive/pack.h"

/*
 * A zip whose files are stored as they are. libarchive puts their checksums behind them, which
 * readers of streams cannot follow (TorchServe's among them: they do not know where such a file
 * ends). Here a checksum is put into the header before its file, when that has been written.
 * Layout: PKWARE's APPNOTE 6.3, with zip64 where a number needs it.
 */

#include <errno.h>
#include <sys/stat.h>
#include <zlib.h>

#include "base/buf.h"
#include "base/mem.h"

#define STORED_DIRECTORY_MAX ((size_t)1 << 30)
#define STORED_DATE 0x21   /* 1980-01-01 */
#define STORED_UTF8 0x800  /* the name is UTF-8 */
#define STORED_CRC_AT 14   /* within the header of a file */
#define STORED_UNIX 0x031e /* made by: what the attributes mean */

struct stored {
	struct pack pack;
	int fd;
	uint64_t at; /* bytes written */
	struct buf directory;
	uint64_t files;
	struct { /* the file being written */
		char *name;
		uint64_t size, header_at;
		uLong crc;
	} file;
};

static void put(struct buf *b, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		buf_putc(b, (char)(value >> (8 * i)));
}

/* A 32-bit field, or the mark that the number is among the zip64 ones. */
static void put_32(struct buf *b, uint64_t value)
{
	put(b, MIN(value, (uint64_t)UINT32_MAX), 4);
}

static bool is_64(uint64_t value)
{
	return value >= UINT32_MAX;
}

static int stored_write(struct stored *s, struct slice text)
{
	while (text.n) {
		ssize_t n = write(s->fd, text.p, text.n);

		if (n < 0 && errno != EINTR)
			return -errno;
		n = MAX(n, 0);
		text = slice_make(text.p + n, text.n - (size_t)n);
		s->at += (uint64_t)n;
	}
	return 0;
}

/* What both headers of a file begin with, from the needed version to the extra field's length. */
static void stored_put_common(struct stored *s, struct buf *b, size_t extra)
{
	bool ascii = true;

	for (const char *p = s->file.name; *p; p++)
		ascii = ascii && (unsigned char)*p < 0x80;
	put(b, extra ? 45 : 10, 2);
	put(b, ascii ? 0 : STORED_UTF8, 2);
	put(b, 0, 2); /* method: stored */
	put(b, 0, 2); /* midnight */
	put(b, STORED_DATE, 2);
	put(b, s->file.crc, 4);
	put_32(b, s->file.size);
	put_32(b, s->file.size);
	put(b, strlen(s->file.name), 2);
	put(b, extra, 2);
}

static void stored_put_directory(struct stored *s)
{
	bool large = is_64(s->file.size), far = is_64(s->file.header_at);
	unsigned numbers = (large ? 16 : 0) + (far ? 8 : 0);
	struct buf *b = &s->directory;

	buf_puts(b, "PK\1\2");
	put(b, STORED_UNIX, 2);
	stored_put_common(s, b, numbers ? numbers + 4 : 0);
	put(b, 0, 6); /* no comment, first disk, no internal attributes */
	put(b, (uint64_t)(S_IFREG | 0644) << 16, 4);
	put_32(b, s->file.header_at);
	buf_puts(b, s->file.name);
	if (numbers) {
		put(b, 1, 2);
		put(b, numbers, 2);
	}
	if (large) {
		put(b, s->file.size, 8);
		put(b, s->file.size, 8);
	}
	if (far)
		put(b, s->file.header_at, 8);
}

static int stored_end(struct stored *s)
{
	_cleanup_(buf_finish) struct buf crc = BUF_INIT(4);

	if (!s->file.name)
		return 0;
	put(&crc, s->file.crc, 4);
	if (pwrite(s->fd, crc.p, 4, (off_t)(s->file.header_at + STORED_CRC_AT)) != 4)
		return -errno;
	stored_put_directory(s);
	free(TAKE(s->file.name));
	s->files++;
	return buf_overflowed(&s->directory) ? -EFBIG : 0;
}

static int stored_begin(struct pack *p, const char *name, uint64_t size)
{
	struct stored *s = container_of(p, struct stored, pack);
	_cleanup_(buf_finish) struct buf b = BUF_INIT(65536 + 64);
	int r = stored_end(s);

	if (r)
		return r;
	if (strlen(name) > UINT16_MAX)
		return -ENAMETOOLONG;
	s->file.name = mem_strdup(name);
	s->file.size = size;
	s->file.header_at = s->at;
	s->file.crc = crc32(0, NULL, 0);
	buf_puts(&b, "PK\3\4");
	stored_put_common(s, &b, is_64(size) ? 20 : 0);
	buf_puts(&b, name);
	if (is_64(size)) {
		put(&b, 1, 2);
		put(&b, 16, 2);
		put(&b, size, 8);
		put(&b, size, 8);
	}
	return stored_write(s, buf_slice(&b));
}

static int stored_piece(struct pack *p, struct slice piece)
{
	struct stored *s = container_of(p, struct stored, pack);

	s->file.crc = crc32_z(s->file.crc, (const Bytef *)piece.p, piece.n);
	return stored_write(s, piece);
}

static void stored_put_end(struct stored *s, struct buf *b, uint64_t start)
{
	uint64_t n = s->directory.n;

	if (is_64(start) || is_64(n) || s->files >= UINT16_MAX) {
		buf_puts(b, "PK\6\6");
		put(b, 44, 8); /* bytes of this record that follow */
		put(b, STORED_UNIX, 2);
		put(b, 45, 2);
		put(b, 0, 8); /* first disk, twice */
		put(b, s->files, 8);
		put(b, s->files, 8);
		put(b, n, 8);
		put(b, start, 8);
		buf_puts(b, "PK\6\7");
		put(b, 0, 4);
		put(b, start + n, 8);
		put(b, 1, 4);
	}
	buf_puts(b, "PK\5\6");
	put(b, 0, 4); /* first disk, twice */
	put(b, MIN(s->files, (uint64_t)UINT16_MAX), 2);
	put(b, MIN(s->files, (uint64_t)UINT16_MAX), 2);
	put_32(b, n);
	put_32(b, start);
	put(b, 0, 2); /* no comment */
}

static int stored_close(struct pack *p)
{
	struct stored *s = container_of(p, struct stored, pack);
	_cleanup_(buf_finish) struct buf end = BUF_INIT(256);
	uint64_t start;
	int r = stored_end(s);

	start = s->at;
	if (!r)
		r = stored_write(s, buf_slice(&s->directory));
	stored_put_end(s, &end, start);
	return r ? r : stored_write(s, buf_slice(&end));
}

static struct pack *stored_destroy(struct pack *p)
{
	struct stored *s = container_of(p, struct stored, pack);

	free(s->file.name);
	buf_finish(&s->directory);
	free(s);
	return NULL;
}

static const struct pack_ops stored_ops = {
	.begin = stored_begin,
	.piece = stored_piece,
	.close = stored_close,
	.destroy = stored_destroy,
};

struct pack *pack_stored(int fd)
{
	struct stored *s = mem_new(struct stored);

	s->pack.ops = &stored_ops;
	s->fd = fd;
	s->directory = BUF_INIT(STORED_DIRECTORY_MAX);
	return &s->pack;
}
