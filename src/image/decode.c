/* SPDX-License-Identifier: Apache-2.0 */
#include "image/file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define PIXELS                                                                                     \
	UINT64_C(178956970) /* twice Pillow's MAX_IMAGE_PIXELS: there it is an error, too          \
			     */
#define MEMORY (UINT64_C(1) << 30)

static const struct image_codec *const codecs[] = { &image_codec_jpeg, &image_codec_png,
						    &image_codec_webp, &image_codec_gif,
						    &image_codec_bmp };

static const char *const names[IMAGE_FORMATS] = {
	[IMAGE_JPEG] = "JPEG", [IMAGE_PNG] = "PNG", [IMAGE_WEBP] = "WebP",
	[IMAGE_GIF] = "GIF",   [IMAGE_BMP] = "BMP",
};

const char *image_format_name(enum image_format format)
{
	return format < IMAGE_FORMATS ? names[format] : "picture";
}

static const struct image_codec *codec_of(const uint8_t *p, size_t n)
{
	for (unsigned i = 0; i < ARRAY_LEN(codecs); i++)
		if (codecs[i]->is(p, n))
			return codecs[i];
	return NULL;
}

bool image_is_known(const void *bytes, size_t n)
{
	return codec_of(bytes, n);
}

static int check_size(const struct image_file *f, struct image_error *e)
{
	const struct image_info *info = &f->reader.info;
	uint64_t pixels = (uint64_t)info->width * info->height;

	if (!pixels)
		return image_fail(e, IMAGE_BAD, "the %s has no pixels", f->codec->name);
	if (pixels > f->limits.pixels)
		return image_fail(e, IMAGE_TOO_LARGE,
				  "the %s has %u × %u pixels, more than the %" PRIu64 " allowed",
				  f->codec->name, info->width, info->height, f->limits.pixels);
	return 0;
}

int image_file_afford(const struct image_file *f, uint64_t bytes, struct image_error *e)
{
	if (bytes <= f->limits.memory)
		return 0;
	return image_fail(e, IMAGE_TOO_LARGE,
			  "decoding the %s would take %" PRIu64 " bytes of memory, more than the "
			  "%" PRIu64 " allowed",
			  f->codec->name, bytes, f->limits.memory);
}

/* ---- the functions of its reader ---- */

static void file_scale(struct image_reader *r, uint32_t width, uint32_t height)
{
	struct image_file *f = container_of(r, struct image_file, reader);
	uint32_t most, by = 8;

	if (!f->codec->scale)
		return;
	f->codec->scale(f, 1);
	most = MIN(r->info.width / MAX(width, 1U), r->info.height / MAX(height, 1U));
	while (by > 1 && by > most)
		by /= 2;
	f->codec->scale(f, by);
}

/* The whole picture, where a format has no rows to give one by one. */
static int decode_whole(struct image_file *f, struct image_error *e)
{
	const struct image_info *info = &f->reader.info;
	uint64_t row = ALIGN_UP((uint64_t)info->width * image_pixel(info->mode), IMAGE_ALIGN);
	int code = image_file_afford(f, row * info->height, e);

	if (code)
		return code;
	code = image_create(&f->whole, info->mode, info->width, info->height, e);
	if (code)
		return code;
	code = f->codec->all(f, f->whole.pixels, f->whole.stride, e);
	if (code)
		image_free(&f->whole);
	return code;
}

static int file_rows(struct image_reader *r, uint8_t *to, size_t stride, uint32_t n,
		     struct image_error *e)
{
	struct image_file *f = container_of(r, struct image_file, reader);
	size_t bytes = (size_t)r->info.width * image_pixel(r->info.mode);
	int code;

	if (!f->at_once)
		return f->codec->rows(f, to, stride, n, e);
	code = f->whole.pixels ? 0 : decode_whole(f, e);
	for (uint32_t i = 0; !code && i < n; i++)
		memcpy(to + i * stride, f->whole.pixels + (r->row + i) * f->whole.stride, bytes);
	return code;
}

static void file_close(struct image_reader *r)
{
	struct image_file *f = container_of(r, struct image_file, reader);

	if (f->codec && f->codec->close)
		f->codec->close(f);
	image_free(&f->whole);
	free(f);
}

static const struct image_reader_ops file_ops = {
	.rows = file_rows,
	.scale = file_scale,
	.close = file_close,
};

/* ---- the door ---- */

static int open_codec(struct image_file *f, struct image_error *e)
{
	int code;

	f->codec = codec_of(f->p, f->n);
	if (!f->codec)
		return image_fail(e, IMAGE_BAD,
				  "this is no picture that is known: JPEG, PNG, WebP, GIF or BMP");
	f->reader.info.format = f->codec->format;
	code = f->codec->open(f, e);
	return code ? code : check_size(f, e);
}

static struct image_file *file_create(const void *bytes, size_t n,
				      const struct image_limits *limits)
{
	struct image_file *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->reader.ops = &file_ops;
	f->reader.info.orientation = 1;
	f->reader.palette = &f->palette;
	f->p = bytes;
	f->n = n;
	f->limits.pixels = limits && limits->pixels ? limits->pixels : PIXELS;
	f->limits.memory = limits && limits->memory ? limits->memory : MEMORY;
	return f;
}

int image_open(const void *bytes, size_t n, const struct image_limits *limits,
	       struct image_reader **ret, struct image_error *e)
{
	struct image_file *f = file_create(bytes, n, limits);
	int code;

	*ret = NULL;
	if (!f)
		return image_fail(e, IMAGE_NO_MEMORY, "there is no memory to read a picture");
	code = open_codec(f, e);
	if (code) {
		image_reader_close(&f->reader);
		return code;
	}
	*ret = &f->reader;
	return 0;
}

static int read_all(struct image_file *f, struct image *ret, struct image_error *e)
{
	const struct image_info *info = &f->reader.info;
	int code = image_create(ret, info->mode, info->width, info->height, e);

	if (code)
		return code;
	code = f->at_once ? f->codec->all(f, ret->pixels, ret->stride, e)
			  : f->codec->rows(f, ret->pixels, ret->stride, info->height, e);
	if (code)
		image_free(ret);
	ret->palette = f->palette;
	return code;
}

int image_decode(const void *bytes, size_t n, const struct image_limits *limits, struct image *ret,
		 struct image_error *e)
{
	struct image_reader *r;
	int code = image_open(bytes, n, limits, &r, e);

	*ret = (struct image){ 0 };
	if (code)
		return code;
	code = read_all(container_of(r, struct image_file, reader), ret, e);
	image_reader_close(r);
	return code;
}
