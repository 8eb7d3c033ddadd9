/* SPDX-License-Identifier: Apache-2.0 */

/*
 * BMP: 1, 4, 8, 16, 24 and 32 bits, fields of bits, both orders of rows, and run lengths. Which
 * headers are taken, and the modes that come of them, are Pillow's: a palette that is all grey is
 * none, and 32 bits have an alpha only where the header says so.
 */
#include "image/file.h"

#include <stdlib.h>
#include <string.h>

#include "base/util.h"

enum { RAW, RLE8, RLE4, BITFIELDS };

/* How pixels lie in the file. Those of 16 bits and less have their own functions; the others name
 * the place of each channel in a pixel, 255 for none. */
struct layout {
	uint8_t bits;
	enum image_mode mode;
	uint8_t r, g, b, a;
};

static const struct layout bit_p = { 1, IMAGE_P, 0, 0, 0, 0 };
static const struct layout nibble_p = { 4, IMAGE_P, 0, 0, 0, 0 };
static const struct layout byte_p = { 8, IMAGE_P, 0, 0, 0, 0 };
static const struct layout bit_grey = { 1, IMAGE_1, 0, 0, 0, 0 };
static const struct layout byte_grey = { 8, IMAGE_L, 0, 0, 0, 0 };
static const struct layout bgr15 = { 16, IMAGE_RGB, 5, 5, 5, 0 };
static const struct layout bgr = { 24, IMAGE_RGB, 2, 1, 0, 255 };
static const struct layout bgrx = { 32, IMAGE_RGB, 2, 1, 0, 255 };

static const struct {
	uint32_t bits, masks[4];
	struct layout layout;
} fields[] = {
	{ 32, { 0xff0000, 0xff00, 0xff, 0 }, { 32, IMAGE_RGB, 2, 1, 0, 255 } },
	{ 32, { 0xff000000, 0xff0000, 0xff00, 0 }, { 32, IMAGE_RGB, 3, 2, 1, 255 } },
	{ 32, { 0xff000000, 0xff00, 0xff, 0 }, { 32, IMAGE_RGB, 3, 1, 0, 255 } },
	{ 32, { 0xff000000, 0xff0000, 0xff00, 0xff }, { 32, IMAGE_RGBA, 3, 2, 1, 0 } },
	{ 32, { 0xff, 0xff00, 0xff0000, 0xff000000 }, { 32, IMAGE_RGBA, 0, 1, 2, 3 } },
	{ 32, { 0xff0000, 0xff00, 0xff, 0xff000000 }, { 32, IMAGE_RGBA, 2, 1, 0, 3 } },
	{ 32, { 0xff000000, 0xff00, 0xff, 0xff0000 }, { 32, IMAGE_RGBA, 3, 1, 0, 2 } },
	{ 32, { 0, 0, 0, 0 }, { 32, IMAGE_RGBA, 2, 1, 0, 3 } },
	{ 24, { 0xff0000, 0xff00, 0xff, 0 }, { 24, IMAGE_RGB, 2, 1, 0, 255 } },
	{ 16, { 0xf800, 0x7e0, 0x1f, 0 }, { 16, IMAGE_RGB, 5, 6, 5, 0 } },
	{ 16, { 0x7c00, 0x3e0, 0x1f, 0 }, { 16, IMAGE_RGB, 5, 5, 5, 0 } },
};

struct bmp {
	const struct layout *layout;
	size_t header; /* bytes of it, those of the file before it not counted */
	size_t at;     /* reading goes on here */
	uint32_t bits, compression;
	uint64_t colours; /* in the palette, each of `padding` bytes */
	unsigned padding;
	uint64_t offset; /* of the pixels */
	uint64_t stride; /* bytes from a row to the next */
	bool down;       /* the first row is the top one */
};

static uint32_t u16(const uint8_t *p)
{
	return (uint32_t)p[1] << 8 | p[0];
}

static uint32_t u32(const uint8_t *p)
{
	return u16(p + 2) << 16 | u16(p);
}

/* ---- the head ---- */

static int short_header(struct image_file *f, struct bmp *b)
{
	const uint8_t *p = f->p + 18;

	f->reader.info.width = u16(p);
	f->reader.info.height = u16(p + 2);
	b->bits = u16(p + 6);
	b->padding = 3;
	return 0;
}

static int long_header(struct image_file *f, struct bmp *b)
{
	const uint8_t *p = f->p + 18;

	b->down = p[7] == 0xff;
	f->reader.info.width = u32(p);
	f->reader.info.height = b->down ? 0 - u32(p + 4) : u32(p + 4);
	b->bits = u16(p + 10);
	b->compression = u32(p + 12);
	b->colours = u32(p + 28);
	b->padding = 4;
	return 0;
}

static int header(struct image_file *f, struct bmp *b, struct image_error *e)
{
	static const uint8_t sizes[] = { 12, 40, 52, 56, 64, 108, 124 };

	if (f->n < 18)
		return image_fail(e, IMAGE_BAD, "the BMP ends within its head");
	b->offset = u32(f->p + 10);
	b->header = u32(f->p + 14);
	if (!memchr(sizes, (int)MIN(b->header, (size_t)255), sizeof(sizes)))
		return image_fail(e, IMAGE_BAD, "BMPs with a header of %zu bytes cannot be read",
				  b->header);
	b->at = 14 + b->header;
	if (f->n < b->at)
		return image_fail(e, IMAGE_BAD, "the BMP ends within its head");
	return b->header == 12 ? short_header(f, b) : long_header(f, b);
}

/* Which bits of a pixel are which colour: in the header, or behind a short one. */
static int bit_fields(struct image_file *f, struct bmp *b, struct image_error *e)
{
	unsigned alpha = b->header >= 56 && b->bits == 32 ? 1 : 0;
	const uint8_t *p = f->p + 54;
	uint32_t masks[4] = { 0 };

	if (b->header == 40)
		b->at += 12;
	if (f->n < b->at)
		return image_fail(e, IMAGE_BAD, "the BMP ends within its head");
	for (unsigned i = 0; i < 3 + alpha; i++)
		masks[i] = u32(p + (size_t)i * 4);
	for (unsigned i = 0; i < ARRAY_LEN(fields); i++)
		if (fields[i].bits == b->bits && !memcmp(fields[i].masks, masks, sizeof(masks))) {
			b->layout = &fields[i].layout;
			return 0;
		}
	return image_fail(e, IMAGE_BAD, "the BMP has fields of bits that cannot be read");
}

static int choose_layout(struct image_file *f, struct bmp *b, struct image_error *e)
{
	static const struct {
		uint32_t bits;
		const struct layout *layout;
	} plain[] = { { 1, &bit_p },  { 4, &nibble_p }, { 8, &byte_p },
		      { 16, &bgr15 }, { 24, &bgr },     { 32, &bgrx } };

	for (unsigned i = 0; i < ARRAY_LEN(plain); i++)
		if (plain[i].bits == b->bits)
			b->layout = plain[i].layout;
	if (!b->layout)
		return image_fail(e, IMAGE_BAD, "BMPs of %u bits a pixel cannot be read", b->bits);
	if (b->compression == BITFIELDS)
		return bit_fields(f, b, e);
	if (b->compression > BITFIELDS)
		return image_fail(e, IMAGE_BAD, "BMPs of compression %u cannot be read",
				  b->compression);
	return 0;
}

/* A palette that only says what is grey anyway: then indices are values. */
static bool is_grey(const struct bmp *b, const uint8_t *p, size_t n)
{
	for (uint64_t i = 0; i < b->colours; i++) {
		uint8_t value = b->colours == 2 && i ? 255 : (uint8_t)i;
		uint64_t at = i * b->padding;

		if (at + 3 > n || p[at] != value || p[at + 1] != value || p[at + 2] != value)
			return false;
	}
	return true;
}

static int palette(struct image_file *f, struct bmp *b, struct image_error *e)
{
	size_t n = MIN((size_t)(b->colours * b->padding), f->n - b->at);
	const uint8_t *p = f->p + b->at;

	b->at += n;
	if (is_grey(b, p, n)) {
		b->layout = b->colours <= 2 ? &bit_grey : &byte_grey;
		return 0;
	}
	if (n / b->padding > 256)
		return image_fail(e, IMAGE_BAD, "the BMP has a palette of %zu colours",
				  n / b->padding);
	f->palette.n = (unsigned)(n / b->padding);
	for (unsigned i = 0; i < f->palette.n; i++, p += b->padding) {
		f->palette.rgba[i][0] = p[2];
		f->palette.rgba[i][1] = p[1];
		f->palette.rgba[i][2] = p[0];
	}
	return 0;
}

static int head(struct image_file *f, struct bmp *b, struct image_error *e)
{
	int code = header(f, b, e);

	if (code)
		return code;
	if (!b->colours)
		b->colours = b->bits < 32 ? UINT64_C(1) << b->bits : 0;
	if (b->offset == 14 + b->header && b->bits <= 8)
		b->offset += b->padding * b->colours;
	code = choose_layout(f, b, e);
	if (code)
		return code;
	b->stride = ((uint64_t)f->reader.info.width * b->bits + 31) / 32 * 4;
	for (unsigned i = 0; i < 256; i++)
		f->palette.rgba[i][3] = 255;
	if (b->layout->mode == IMAGE_P) {
		if (b->colours > 65536)
			return image_fail(e, IMAGE_BAD, "the BMP has a palette of %u colours",
					  (unsigned)b->colours);
		code = palette(f, b, e);
	}
	if (!b->offset)
		b->offset = b->at;
	f->reader.info.mode = b->layout->mode;
	f->at_once = b->compression == RLE8 || b->compression == RLE4;
	return code;
}

static bool bmp_is(const uint8_t *p, size_t n)
{
	return n >= 2 && p[0] == 'B' && p[1] == 'M';
}

static int bmp_open(struct image_file *f, struct image_error *e)
{
	struct bmp *b = f->state = calloc(1, sizeof(*b));

	if (!b)
		return image_fail(e, IMAGE_NO_MEMORY, "there is no memory to read a BMP");
	return head(f, b, e);
}

/* ---- rows as they are ---- */

static void unpack_bits(uint8_t *to, const uint8_t *from, uint32_t n, uint8_t one)
{
	for (uint32_t i = 0; i < n; i++)
		to[i] = from[i / 8] >> (7 - i % 8) & 1 ? one : 0;
}

static void unpack_nibbles(uint8_t *to, const uint8_t *from, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		to[i] = i % 2 ? from[i / 2] & 15 : from[i / 2] >> 4;
}

static void unpack_16(uint8_t *to, const uint8_t *from, uint32_t n, unsigned green)
{
	unsigned most = (1U << green) - 1;

	for (uint32_t i = 0; i < n; i++, to += 4) {
		unsigned pixel = u16(from + (size_t)i * 2);

		to[0] = (uint8_t)((pixel >> (5 + green) & 31) * 255 / 31);
		to[1] = (uint8_t)((pixel >> 5 & most) * 255 / most);
		to[2] = (uint8_t)((pixel & 31) * 255 / 31);
		to[3] = 255;
	}
}

static void unpack(const struct layout *l, uint8_t *to, const uint8_t *from, uint32_t n)
{
	unsigned step = l->bits / 8;

	switch (l->bits) {
	case 1:
		unpack_bits(to, from, n, l->mode == IMAGE_1 ? 255 : 1);
		return;
	case 4:
		unpack_nibbles(to, from, n);
		return;
	case 8:
		memcpy(to, from, n);
		return;
	case 16:
		unpack_16(to, from, n, l->g);
		return;
	}
	for (uint32_t i = 0; i < n; i++, to += 4, from += step) {
		to[0] = from[l->r];
		to[1] = from[l->g];
		to[2] = from[l->b];
		to[3] = l->a == 255 ? 255 : from[l->a];
	}
}

static int bmp_rows(struct image_file *f, uint8_t *to, size_t stride, uint32_t n,
		    struct image_error *e)
{
	const struct bmp *b = f->state;
	uint32_t width = f->reader.info.width, height = f->reader.info.height;
	uint64_t row = ((uint64_t)width * b->layout->bits + 7) / 8;

	if (row > b->stride)
		return image_fail(e, IMAGE_BAD,
				  "the BMP is damaged: its palette is not one of "
				  "%u bits",
				  b->bits);
	if (b->offset > f->n || f->n - b->offset < b->stride * (height - 1) + row)
		return image_fail(e, IMAGE_BAD, "the BMP ends too early");
	for (uint32_t i = 0; i < n; i++) {
		uint32_t y = f->reader.row + i;

		unpack(b->layout, to + i * stride,
		       f->p + b->offset + b->stride * (b->down ? y : height - 1 - y), width);
	}
	return 0;
}

/* ---- run lengths ---- */

struct runs {
	const uint8_t *p, *from, *end; /* at p; `from`: where the file begins */
	uint8_t *to;                   /* size.width * size.height, row after row without gaps */
	uint64_t n, all;               /* pixels that are there, and how many there have to be */
	uint32_t width;
	uint64_t x;
	bool nibbles;
};

static void put(struct runs *s, uint8_t value)
{
	if (s->n < s->all)
		s->to[s->n] = value;
	s->n++;
}

static void run(struct runs *s, unsigned n, uint8_t value)
{
	if (s->x + n > s->width)
		n = s->x < s->width ? (unsigned)(s->width - s->x) : 0;
	for (unsigned i = 0; i < n; i++)
		put(s, !s->nibbles ? value : i % 2 ? value & 15 : value >> 4);
	s->x += n;
}

/* False: it ends here. */
static bool skip(struct runs *s)
{
	uint64_t n;

	if (s->end - s->p < 2)
		return false;
	n = MIN(s->all - s->n, s->p[0] + (uint64_t)s->p[1] * s->width);
	s->p += 2;
	memset(s->to + s->n, 0, n);
	s->n += n;
	s->x = s->n % s->width;
	return true;
}

/* Pixels as they are, padded to an even place in the file. */
static bool literal(struct runs *s, unsigned count)
{
	unsigned n = (unsigned)MIN(s->all - s->n, (uint64_t)count);
	unsigned bytes = s->nibbles ? (n + 1) / 2 : n;

	if ((size_t)(s->end - s->p) < bytes)
		return false;
	for (unsigned i = 0; i < n; i++)
		put(s, !s->nibbles ? s->p[i] : i % 2 ? s->p[i / 2] & 15 : s->p[i / 2] >> 4);
	s->p += bytes;
	if (s->n == s->all)
		return false;
	s->x += count;
	if ((s->p - s->from) % 2 && s->p < s->end)
		s->p++;
	return true;
}

static bool escape(struct runs *s, uint8_t code)
{
	uint64_t rest = s->n % s->width;

	switch (code) {
	case 0: /* the end of a row */
		if (rest)
			memset(s->to + s->n, 0, s->width - rest);
		s->n += rest ? s->width - rest : 0;
		s->x = 0;
		return true;
	case 1:
		return false;
	case 2:
		return skip(s);
	default:
		return literal(s, code);
	}
}

static void read_runs(struct runs *s)
{
	while (s->n < s->all && s->end - s->p >= 2) {
		uint8_t n = s->p[0], value = s->p[1];

		s->p += 2;
		if (n)
			run(s, n, value);
		else if (!escape(s, value))
			break;
	}
}

static int bmp_all(struct image_file *f, uint8_t *to, size_t stride, struct image_error *e)
{
	const struct bmp *b = f->state;
	uint32_t width = f->reader.info.width, height = f->reader.info.height;
	struct runs s = { .from = f->p,
			  .end = f->p + f->n,
			  .width = width,
			  .all = (uint64_t)width * height,
			  .nibbles = b->compression == RLE4 };
	int code;

	if (image_pixel(f->reader.info.mode) != 1)
		return image_fail(e, IMAGE_BAD, "BMPs of runs of %u bits cannot be read", b->bits);
	code = image_file_afford(f, s.all, e);
	if (code)
		return code;
	s.p = f->p + MIN(b->offset, (uint64_t)f->n);
	s.to = malloc(s.all);
	if (!s.to)
		return image_fail(e, IMAGE_NO_MEMORY, "there is no memory to decode the BMP");
	read_runs(&s);
	for (uint64_t i = 0; f->reader.info.mode == IMAGE_1 && i < MIN(s.n, s.all); i++)
		s.to[i] = s.to[i] ? 255 : 0;
	for (uint32_t y = 0; s.n >= s.all && y < height; y++)
		memcpy(to + y * stride, s.to + (size_t)(b->down ? y : height - 1 - y) * width,
		       width);
	free(s.to);
	return s.n >= s.all ? 0 : image_fail(e, IMAGE_BAD, "the BMP ends too early");
}

static void bmp_close(struct image_file *f)
{
	free(f->state);
}

const struct image_codec image_codec_bmp = {
	.format = IMAGE_BMP,
	.name = "BMP",
	.is = bmp_is,
	.open = bmp_open,
	.rows = bmp_rows,
	.all = bmp_all,
	.close = bmp_close,
};
