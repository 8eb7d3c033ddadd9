/* SPDX-License-Identifier: Apache-2.0 */

/*
 * PNG. The chunks before the pixels are read here, so that the head costs nothing and what they
 * mean is what Pillow makes of them; libpng, which is told to pass over all it need not know,
 * gives the rows.
 */
#include "image/file.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <png.h>

#include "base/util.h"
#include "image/convert.h"
#include "image/exif.h"

#define HEAD 33 /* bytes of the signature and of the first chunk */

struct png {
	png_structp png;
	png_infop info;
	struct image_file *f;
	struct image_error *e;
	int code;
	size_t at;  /* in the file */
	size_t cut; /* where a chunk of pixels begins that is not all there, or 0 */
	bool lacks; /* bytes of a chunk that no row needed so far, behind the first of pixels */
	bool ready;
	uint32_t done; /* rows of this call that are there */
	/* What is asked for at the moment. */
	uint8_t *to;
	size_t stride;
	uint32_t rows;
};

static uint32_t u32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint16_t u16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* ---- the head ---- */

/* How Pillow has each depth and colour type. 16 bits of a colour become 8. */
static int mode_of(unsigned depth, unsigned colour)
{
	switch (colour) {
	case PNG_COLOR_TYPE_GRAY:
		if (depth == 16)
			return IMAGE_I16;
		return depth == 1 ? IMAGE_1 : depth == 2 || depth == 4 || depth == 8 ? IMAGE_L : -1;
	case PNG_COLOR_TYPE_RGB:
		return depth == 8 || depth == 16 ? IMAGE_RGB : -1;
	case PNG_COLOR_TYPE_PALETTE:
		return depth == 1 || depth == 2 || depth == 4 || depth == 8 ? IMAGE_P : -1;
	case PNG_COLOR_TYPE_GRAY_ALPHA:
		return depth == 8 ? IMAGE_LA : depth == 16 ? IMAGE_RGBA : -1;
	case PNG_COLOR_TYPE_RGB_ALPHA:
		return depth == 8 || depth == 16 ? IMAGE_RGBA : -1;
	default:
		return -1;
	}
}

static int header(struct image_file *f, const uint8_t *p, struct image_error *e)
{
	int mode = mode_of(p[8], p[9]);

	if (mode < 0)
		return image_fail(e, IMAGE_BAD,
				  "the PNG is damaged: there is no colour type %u of %u bits", p[9],
				  p[8]);
	f->reader.info.width = u32(p);
	f->reader.info.height = u32(p + 4);
	if (f->reader.info.width > PNG_UINT_31_MAX || f->reader.info.height > PNG_UINT_31_MAX)
		return image_fail(e, IMAGE_BAD, "the PNG is damaged: its size is none");
	f->reader.info.mode = (enum image_mode)mode;
	f->at_once = p[12] != 0;
	return 0;
}

static void colours(struct image_palette *palette, const uint8_t *p, size_t n)
{
	palette->n = (unsigned)MIN(n / 3, (size_t)256);
	for (unsigned i = 0; i < palette->n; i++)
		memcpy(palette->rgba[i], p + (size_t)i * 3, 3);
}

/* Pillow's expression for one transparent colour passes over a line's end behind it. */
static bool ends_in_a_line(const uint8_t *p, size_t n)
{
	const uint8_t *none = n > 1 && p[n - 1] == '\n' ? memchr(p, 0, n - 1) : NULL;

	for (size_t i = 0; none && i < n - 1; i++)
		if (p + i != none && p[i] != 255)
			return false;
	return none;
}

/* Of more than 8 bits Pillow compares the lower 8, and grey of less than 8 as it is in the file. */
static void transparency(struct image_file *f, const uint8_t *p, size_t n)
{
	struct image_palette *palette = &f->palette;
	enum image_mode mode = f->reader.info.mode;
	uint16_t told[3];

	if (mode == IMAGE_P) {
		n -= ends_in_a_line(p, n);
		palette->alpha = true;
		for (size_t i = 0; i < MIN(n, (size_t)256); i++)
			palette->rgba[i][3] = p[i];
	} else if (mode == IMAGE_RGB && n >= 6) {
		for (unsigned i = 0; i < 3; i++)
			told[i] = u16(p + i * 2);
		image_palette_key(palette, mode, told, 3);
	} else if ((mode == IMAGE_1 || mode == IMAGE_L || mode == IMAGE_I16) && n >= 2) {
		told[0] = u16(p);
		if (mode == IMAGE_1)
			told[0] = told[0] ? 255 : 0;
		image_palette_key(palette, mode, told, 1);
	}
}

/* Text of the keyword that XMP goes by, if it is not compressed. */
static unsigned text_orientation(const uint8_t *p, size_t n)
{
	static const char key[] = "XML:com.adobe.xmp";

	if (n < sizeof(key) + 2 || memcmp(p, key, sizeof(key)) || p[sizeof(key)])
		return EXIF_SILENT;
	return xmp_orientation(p + sizeof(key) + 2, n - sizeof(key) - 2);
}

static bool is_kind(const uint8_t *p)
{
	for (unsigned i = 0; i < 4; i++)
		if (((p[i] | 32) < 'a' || (p[i] | 32) > 'z') && (p[i] < '0' || p[i] > '9') &&
		    p[i] != '_')
			return false;
	return true;
}

/* The chunk at p, which the file ends in. After the last row Pillow reads on, to the end, the
 * next frame or what is no chunk, and one without all of its content is an error then; its sum may
 * be missing. */
static void end_within(struct png *s, const uint8_t *p, bool is_read)
{
	size_t left = s->f->n - (size_t)(p - s->f->p);

	if (!memcmp(p + 4, "IDAT", 4))
		s->cut = (size_t)(p - s->f->p);
	s->lacks = is_read && (uint64_t)u32(p) + 8 > left && memcmp(p + 4, "IEND", 4);
}

static void chunks(struct image_file *f, struct png *s)
{
	unsigned exif = EXIF_SILENT, xmp = EXIF_SILENT;
	bool pixels = false, animated = false, over = false;
	const uint8_t *p = f->p + HEAD, *end = f->p + f->n;

	for (; end - p >= 8; p += 12 + u32(p)) {
		uint32_t n = u32(p);

		if (!memcmp(p + 4, "IDAT", 4))
			pixels = true;
		if (!memcmp(p + 4, "acTL", 4))
			animated = true;
		else if (pixels && (!is_kind(p + 4) || (animated && !memcmp(p + 4, "fcTL", 4))))
			over = true;
		if ((uint64_t)n + 12 > (size_t)(end - p)) {
			end_within(s, p, pixels && !over);
			return;
		}
		if (!memcmp(p + 4, "PLTE", 4) && !pixels)
			colours(&f->palette, p + 8, n);
		else if (!memcmp(p + 4, "tRNS", 4) && !pixels)
			transparency(f, p + 8, n);
		else if (!memcmp(p + 4, "eXIf", 4))
			exif = exif_orientation(p + 8, n);
		else if (!memcmp(p + 4, "iTXt", 4) && xmp == EXIF_SILENT)
			xmp = text_orientation(p + 8, n);
		else if (!memcmp(p + 4, "IEND", 4))
			break;
		f->reader.info.orientation = (uint8_t)(exif != EXIF_SILENT  ? exif
						       : xmp != EXIF_SILENT ? xmp
									    : 1);
	}
}

static bool png_is(const uint8_t *p, size_t n)
{
	return n >= 8 && !memcmp(p, "\x89PNG\r\n\x1a\n", 8);
}

static int png_open(struct image_file *f, struct image_error *e)
{
	struct png *s;
	int code;

	if (f->n < HEAD || u32(f->p + 8) != 13 || memcmp(f->p + 12, "IHDR", 4))
		return image_fail(e, IMAGE_BAD,
				  "the PNG is damaged: it does not begin with a head");
	for (unsigned i = 0; i < 256; i++)
		f->palette.rgba[i][3] = 255;
	code = header(f, f->p + 16, e);
	if (code)
		return code;
	s = f->state = calloc(1, sizeof(*s));
	if (!s)
		return image_fail(e, IMAGE_NO_MEMORY, "there is no memory to read a PNG");
	s->f = f;
	chunks(f, s);
	return 0;
}

/* ---- the rows ---- */

static void on_error(png_structp png, const char *text)
{
	struct png *s = png_get_error_ptr(png);

	s->code = image_fail(s->e, IMAGE_BAD, "the PNG cannot be decoded: %s", text);
	png_longjmp(png, 1);
}

static void on_warning(png_structp png _unused_, const char *text _unused_)
{
}

/* libpng looks for the end of the compressed data behind the last row. Whether it is there does
 * not matter any more. */
static bool has_all_rows(const struct png *s)
{
	if (!s->ready)
		return false;
	return s->f->at_once ? png_get_current_pass_number(s->png) >= PNG_INTERLACE_ADAM7_PASSES
			     : png_get_current_row_number(s->png) >= s->f->reader.info.height;
}

static void on_read(png_structp png, png_bytep to, size_t n)
{
	struct png *s = png_get_io_ptr(png);

	if (s->f->n - s->at < n)
		png_error(png, "it ends too early");
	memcpy(to, s->f->p + s->at, n);
	/* What there is of a chunk is to be decompressed; libpng would rather have all of it. */
	if (n == 8 && s->cut && s->at == s->cut) {
		png_save_uint_32(to, (png_uint_32)MIN((size_t)u32(to), s->f->n - s->at - 8));
		if (!has_all_rows(s))
			s->lacks = false;
	}
	s->at += n;
}

/* To the bytes that image.h tells of each mode. */
static void transform(struct png *s)
{
	png_structp png = s->png;
	unsigned colour = png_get_color_type(png, s->info), depth = png_get_bit_depth(png, s->info);

	if (colour == PNG_COLOR_TYPE_GRAY && depth < 8)
		png_set_expand_gray_1_2_4_to_8(png);
	if (colour == PNG_COLOR_TYPE_PALETTE)
		png_set_packing(png);
	if (depth == 16 && colour == PNG_COLOR_TYPE_GRAY)
		png_set_swap(png);
	else if (depth == 16)
		png_set_strip_16(png);
	if (colour == PNG_COLOR_TYPE_GRAY_ALPHA)
		png_set_gray_to_rgb(png);
	if (colour == PNG_COLOR_TYPE_RGB)
		png_set_filler(png, 255, PNG_FILLER_AFTER);
}

static int start(struct png *s)
{
	static const uint8_t trns[] = "tRNS";
	png_structp png = s->png;

	png_set_read_fn(png, s, on_read);
	png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
	png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
	png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, trns, 1);
	/* Pillow checks the sums of the head's chunks and of no others; nor what indices mean. */
	png_set_crc_action(png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
	png_set_check_for_invalid_index(png, 0);
	png_read_info(png, s->info);
	png_set_crc_action(png, PNG_CRC_QUIET_USE, PNG_CRC_QUIET_USE);
	transform(s);
	png_set_interlace_handling(png);
	png_read_update_info(png, s->info);
	if (png_get_rowbytes(png, s->info) !=
	    (size_t)s->f->reader.info.width * image_pixel(s->f->reader.info.mode))
		return image_fail(s->e, IMAGE_BAD, "the PNG is damaged: its head is not one");
	s->ready = true;
	return 0;
}

static int read_rows(struct png *s)
{
	int code = s->ready ? 0 : start(s);

	for (; !code && s->done < s->rows; s->done++)
		png_read_row(s->png, s->to + s->done * s->stride, NULL);
	return code;
}

static int read_passes(struct png *s)
{
	int code = start(s);

	for (unsigned pass = 0; !code && pass < PNG_INTERLACE_ADAM7_PASSES; pass++)
		for (s->done = 0; s->done < s->rows; s->done++)
			png_read_row(s->png, s->to + s->done * s->stride, NULL);
	return code;
}

static int guarded(struct png *s, int (*f)(struct png *s))
{
	if (!s->png)
		s->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, s, on_error, on_warning);
	if (s->png && !s->info)
		s->info = png_create_info_struct(s->png);
	if (!s->info)
		return image_fail(s->e, IMAGE_NO_MEMORY, "there is no memory to read a PNG");
	/* tidy: allow banned: libpng has no other way to tell errors */
	if (setjmp(png_jmpbuf(s->png)))
		return s->done + 1 == s->rows && has_all_rows(s) ? 0 : s->code;
	return f(s);
}

static int read_guarded(struct image_file *f, uint8_t *to, size_t stride, uint32_t n,
			struct image_error *e)
{
	struct png *s = f->state;

	if (s->code)
		return image_fail(e, s->code, "the PNG could not be decoded");
	s->to = to;
	s->stride = stride;
	s->rows = n;
	s->done = 0;
	s->e = e;
	s->code = guarded(s, f->at_once ? read_passes : read_rows);
	if (!s->code && s->lacks && has_all_rows(s))
		s->code = image_fail(e, IMAGE_BAD,
				     "the PNG ends too early, within a chunk behind the pixels");
	return s->code;
}

static int png_all(struct image_file *f, uint8_t *to, size_t stride, struct image_error *e)
{
	return read_guarded(f, to, stride, f->reader.info.height, e);
}

static void png_close(struct image_file *f)
{
	struct png *s = f->state;

	if (s)
		png_destroy_read_struct(&s->png, &s->info, NULL);
	free(s);
}

const struct image_codec image_codec_png = {
	.format = IMAGE_PNG,
	.name = "PNG",
	.is = png_is,
	.open = png_open,
	.rows = read_guarded,
	.all = png_all,
	.close = png_close,
};
