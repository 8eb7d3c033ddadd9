/* SPDX-License-Identifier: Apache-2.0 */
#include "image/image.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

static const struct {
	const char *name;
	uint8_t pixel, bands;
} modes[IMAGE_MODES] = {
	[IMAGE_1] = { "1", 1, 1 },       [IMAGE_L] = { "L", 1, 1 },
	[IMAGE_P] = { "P", 1, 1 },       [IMAGE_I16] = { "I;16", 2, 1 },
	[IMAGE_LA] = { "LA", 4, 2 },     [IMAGE_RGB] = { "RGB", 4, 3 },
	[IMAGE_RGBA] = { "RGBA", 4, 4 }, [IMAGE_CMYK] = { "CMYK", 4, 4 },
	[IMAGE_LAB] = { "LAB", 4, 3 },   [IMAGE_F] = { "F", 4, 1 },
};

const char *image_mode_name(enum image_mode mode)
{
	return modes[mode].name;
}

unsigned image_pixel(enum image_mode mode)
{
	return modes[mode].pixel;
}

unsigned image_bands(enum image_mode mode)
{
	return modes[mode].bands;
}

int image_create(struct image *ret, enum image_mode mode, uint32_t width, uint32_t height,
		 struct image_error *e)
{
	size_t stride, bytes;

	*ret = (struct image){ .mode = mode, .width = width, .height = height };
	if (__builtin_mul_overflow((size_t)width, (size_t)image_pixel(mode), &stride) ||
	    __builtin_add_overflow(stride, (size_t)IMAGE_ALIGN - 1, &stride))
		return image_fail(e, IMAGE_TOO_LARGE, "the image is too wide");
	stride -= stride % IMAGE_ALIGN;
	if (__builtin_mul_overflow(stride, (size_t)height, &bytes) || bytes > PTRDIFF_MAX)
		return image_fail(e, IMAGE_TOO_LARGE, "the image is too large");
	ret->pixels = aligned_alloc(IMAGE_ALIGN, MAX(bytes, (size_t)IMAGE_ALIGN));
	if (!ret->pixels)
		return image_fail(e, IMAGE_NO_MEMORY,
				  "there is no memory for an image of %u × %u pixels", width,
				  height);
	ret->stride = stride;
	return 0;
}

void image_free(struct image *image)
{
	if (!image)
		return;
	free(image->pixels);
	image->pixels = NULL;
}

int image_fail(struct image_error *e, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	return code;
}

/* ---- dense channels ---- */

/* Whose pixels are dense in memory, too. */
static bool is_dense(enum image_mode mode)
{
	return image_pixel(mode) == image_bands(mode) || mode == IMAGE_I16 || mode == IMAGE_F;
}

size_t image_row(const struct image *image)
{
	return (size_t)image->width *
	       (is_dense(image->mode) ? image_pixel(image->mode) : image_bands(image->mode));
}

/* What is done to a channel on its way out of the picture and into it. */
static uint8_t outside(enum image_mode mode, unsigned band)
{
	return mode == IMAGE_LAB && band ? IMAGE_LAB_SIGN : 0;
}

void image_get_row(const struct image *image, uint32_t y, uint8_t *to)
{
	const uint8_t *from = image->pixels + (size_t)y * image->stride;
	unsigned pixel = image_pixel(image->mode), bands = image_bands(image->mode);

	if (is_dense(image->mode)) {
		memcpy(to, from, image_row(image));
		return;
	}
	for (uint32_t x = 0; x < image->width; x++, from += pixel, to += bands)
		for (unsigned b = 0; b < bands; b++)
			to[b] = from[b + (image->mode == IMAGE_LA && b ? 2 : 0)] ^
				outside(image->mode, b);
}

void image_put_row(struct image *image, uint32_t y, const uint8_t *from)
{
	uint8_t *to = image->pixels + (size_t)y * image->stride;
	unsigned pixel = image_pixel(image->mode), bands = image_bands(image->mode);

	if (is_dense(image->mode)) {
		memcpy(to, from, image_row(image));
		return;
	}
	for (uint32_t x = 0; x < image->width; x++, from += bands, to += pixel) {
		bool grey = image->mode == IMAGE_LA;

		to[0] = from[0];
		to[1] = grey ? from[0] : from[1] ^ outside(image->mode, 1);
		to[2] = grey ? from[0] : from[2] ^ outside(image->mode, 2);
		to[3] = grey ? from[1] : 255;
	}
}
