/* SPDX-License-Identifier: Apache-2.0 */
#include "archive/pack.h"

/*
 * A zip whose files are compressed where that makes them smaller, or all stored as they are.
 * libarchive puts checksums behind stored files, which readers of streams cannot follow
 * (TorchServe's among them: they do not know where such a file ends), and adds more to small files
 * than they shrink by. Here a header is completed when its file has been written.
 * Layout: PKWARE's APPNOTE 6.3, with zip64 where a number needs it.
 */

#include <errno.h>
#include <sys/stat.h>
#include <zlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/utf8.h"

#define ZIP_DIRECTORY_MAX ((size_t)1 << 30)
#define ZIP_DATE 0x21  /* 1980-01-01 */
#define ZIP_UTF8 0x800 /* the name is UTF-8 */
#define ZIP_HEADER 30  /* bytes of a file's header before its name */
#define ZIP_CRC_AT 14  /* within it; the two sizes follow */
#define ZIP_DEFLATE 8  /* method */
#define ZIP_CHUNK ((size_t)1 << 16)
#define ZIP_UNIX 0x031e /* made by: what the attributes mean */

struct zip {
	struct pack pack;
	int fd;
	uint64_t at; /* bytes written */
	struct buf directory;
	uint64_t files;
	bool compress;
	bool again; /* the next file is one that compression made larger */
	z_stream deflate;
	unsigned char chunk[ZIP_CHUNK]; /* what it makes */
	struct {                        /* the file being written */
		char *name;
		unsigned method;
		uint64_t size, packed, header_at;
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

static int zip_write(struct zip *s, struct slice text)
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

/* Over what is there already. */
static int zip_patch(struct zip *s, uint64_t at, struct slice text)
{
	while (text.n) {
		ssize_t n = pwrite(s->fd, text.p, text.n, (off_t)at);

		if (n < 0 && errno != EINTR)
			return -errno;
		n = MAX(n, 0);
		text = slice_make(text.p + n, text.n - (size_t)n);
		at += (uint64_t)n;
	}
	return 0;
}

static bool zip_is_utf8(const char *name)
{
	struct slice s = slice_str(name);

	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] >= 0x80)
			return utf8_valid(s);
	return false;
}

/* Checksum and sizes. A large file has both sizes among the zip64 ones, however well it packs. */
static void zip_put_numbers(const struct zip *s, struct buf *b)
{
	bool large = is_64(s->file.size);

	put(b, s->file.crc, 4);
	put_32(b, large ? UINT64_MAX : s->file.packed);
	put_32(b, s->file.size);
}

static void zip_put_sizes_64(const struct zip *s, struct buf *b)
{
	put(b, s->file.size, 8);
	put(b, s->file.packed, 8);
}

/* What both headers of a file begin with, from the needed version to the extra field's length. */
static void zip_put_common(const struct zip *s, struct buf *b, size_t extra)
{
	put(b, extra ? 45 : s->file.method ? 20 : 10, 2);
	put(b, zip_is_utf8(s->file.name) ? ZIP_UTF8 : 0, 2);
	put(b, s->file.method, 2);
	put(b, 0, 2); /* midnight */
	put(b, ZIP_DATE, 2);
	zip_put_numbers(s, b);
	put(b, strlen(s->file.name), 2);
	put(b, extra, 2);
}

static void zip_put_directory(struct zip *s)
{
	bool large = is_64(s->file.size), far = is_64(s->file.header_at);
	unsigned numbers = (large ? 16 : 0) + (far ? 8 : 0);
	struct buf *b = &s->directory;

	buf_puts(b, "PK\1\2");
	put(b, ZIP_UNIX, 2);
	zip_put_common(s, b, numbers ? numbers + 4 : 0);
	put(b, 0, 6); /* no comment, first disk, no internal attributes */
	put(b, (uint64_t)(S_IFREG | 0644) << 16, 4);
	put_32(b, s->file.header_at);
	buf_puts(b, s->file.name);
	if (numbers) {
		put(b, 1, 2);
		put(b, numbers, 2);
	}
	if (large)
		zip_put_sizes_64(s, b);
	if (far)
		put(b, s->file.header_at, 8);
}

/* What the header could not know yet. */
static int zip_complete_header(struct zip *s)
{
	_cleanup_(buf_finish) struct buf numbers = BUF_INIT(12), sizes = BUF_INIT(16);
	uint64_t extra = s->file.header_at + ZIP_HEADER + strlen(s->file.name) + 4;
	int r;

	zip_put_numbers(s, &numbers);
	r = zip_patch(s, s->file.header_at + ZIP_CRC_AT, buf_slice(&numbers));
	if (r || !is_64(s->file.size))
		return r;
	zip_put_sizes_64(s, &sizes);
	return zip_patch(s, extra, buf_slice(&sizes));
}

/* Takes the file out again. */
static int zip_give_up(struct zip *s)
{
	free(TAKE(s->file.name));
	if (ftruncate(s->fd, (off_t)s->file.header_at) < 0 ||
	    lseek(s->fd, (off_t)s->file.header_at, SEEK_SET) < 0)
		return -errno;
	s->at = s->file.header_at;
	s->again = true;
	return PACK_AGAIN;
}

static bool zip_gains(const struct zip *s)
{
	return s->file.method != ZIP_DEFLATE || s->file.packed < s->file.size;
}

static int zip_begin(struct pack *p, const char *name, uint64_t size)
{
	struct zip *s = container_of(p, struct zip, pack);
	_cleanup_(buf_finish) struct buf b = BUF_INIT(65536 + 64);

	assert(!s->file.name);
	if (strlen(name) > UINT16_MAX)
		return -ENAMETOOLONG;
	s->file.name = mem_strdup(name);
	s->file.method = s->compress && !s->again && size ? ZIP_DEFLATE : 0;
	s->again = false;
	s->file.size = size;
	s->file.packed = s->file.method ? 0 : size;
	s->file.header_at = s->at;
	s->file.crc = crc32(0, NULL, 0);
	if (s->file.method && deflateReset(&s->deflate) != Z_OK)
		return -EIO;
	buf_puts(&b, "PK\3\4");
	zip_put_common(s, &b, is_64(size) ? 20 : 0);
	buf_puts(&b, name);
	if (is_64(size)) {
		put(&b, 1, 2);
		put(&b, 16, 2);
		zip_put_sizes_64(s, &b);
	}
	return zip_write(s, buf_slice(&b));
}

/* As soon as nothing can be gained any more nothing more is done. */
static int zip_compress(struct zip *s, struct slice piece, int flush)
{
	s->deflate.next_in = (z_const Bytef *)(uintptr_t)piece.p;
	s->deflate.avail_in = (uInt)piece.n;
	do {
		size_t n;
		int r;

		s->deflate.next_out = s->chunk;
		s->deflate.avail_out = ZIP_CHUNK;
		if (deflate(&s->deflate, flush) == Z_STREAM_ERROR)
			return -EIO;
		n = ZIP_CHUNK - s->deflate.avail_out;
		s->file.packed += n;
		r = zip_write(s, slice_make((const char *)s->chunk, n));
		if (r)
			return r;
	} while (zip_gains(s) && !s->deflate.avail_out);
	return 0;
}

static int zip_piece(struct pack *p, struct slice piece)
{
	struct zip *s = container_of(p, struct zip, pack);

	assert(s->file.name && piece.n <= UINT32_MAX);
	if (!zip_gains(s))
		return 0;
	s->file.crc = crc32_z(s->file.crc, (const Bytef *)piece.p, piece.n);
	return s->file.method ? zip_compress(s, piece, Z_NO_FLUSH) : zip_write(s, piece);
}

static int zip_end(struct pack *p)
{
	struct zip *s = container_of(p, struct zip, pack);
	int r = 0;

	assert(s->file.name);
	if (s->file.method && zip_gains(s))
		r = zip_compress(s, SLICE_NULL, Z_FINISH);
	if (r)
		return r;
	if (!zip_gains(s))
		return zip_give_up(s);
	r = zip_complete_header(s);
	if (r)
		return r;
	zip_put_directory(s);
	free(TAKE(s->file.name));
	s->files++;
	return buf_overflowed(&s->directory) ? -EFBIG : 0;
}

static void zip_put_end(struct zip *s, struct buf *b, uint64_t start)
{
	uint64_t n = s->directory.n;

	if (is_64(start) || is_64(n) || s->files >= UINT16_MAX) {
		buf_puts(b, "PK\6\6");
		put(b, 44, 8); /* bytes of this record that follow */
		put(b, ZIP_UNIX, 2);
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

static int zip_close(struct pack *p)
{
	struct zip *s = container_of(p, struct zip, pack);
	_cleanup_(buf_finish) struct buf end = BUF_INIT(256);
	uint64_t start = s->at;
	int r = zip_write(s, buf_slice(&s->directory));

	assert(!s->file.name);
	zip_put_end(s, &end, start);
	return r ? r : zip_write(s, buf_slice(&end));
}

static struct pack *zip_destroy(struct pack *p)
{
	struct zip *s = container_of(p, struct zip, pack);

	free(s->file.name);
	buf_finish(&s->directory);
	deflateEnd(&s->deflate);
	free(s);
	return NULL;
}

static const struct pack_ops zip_ops = {
	.begin = zip_begin,
	.piece = zip_piece,
	.end = zip_end,
	.close = zip_close,
	.destroy = zip_destroy,
};

static struct zip *zip_create(int fd)
{
	struct zip *s = mem_new(struct zip);

	s->pack.ops = &zip_ops;
	s->fd = fd;
	s->directory = BUF_INIT(ZIP_DIRECTORY_MAX);
	return s;
}

struct pack *pack_stored(int fd)
{
	return &zip_create(fd)->pack;
}

struct pack *pack_zip(int fd)
{
	struct zip *s = zip_create(fd);

	/* Without memory for it everything is stored. */
	s->compress = deflateInit2(&s->deflate, Z_BEST_SPEED, Z_DEFLATED, -MAX_WBITS, MAX_MEM_LEVEL,
				   Z_DEFAULT_STRATEGY) == Z_OK;
	return &s->pack;
}
