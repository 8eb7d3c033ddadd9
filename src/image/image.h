/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A picture in memory. Modes and the places of channels are those of Pillow, so that every
 * operation of this folder can give, bit for bit, what Pillow and torchvision give:
 *
 *     1, L, P        1 byte a pixel (1: 0 or 255; P: an index into the palette)
 *     I16            2 bytes, little-endian
 *     LA             4 bytes L L L A
 *     RGB            4 bytes R G B 255
 *     RGBA, CMYK     4 bytes
 *     LAB            4 bytes, as RGB; a and b with 128 for nothing, which is 0 outside
 *     F              a float, of any size
 *
 * An image has one owner and no lock; images and functions of this folder share no state, so
 * threads may work on different images at the same time.
 *
 * Errors: 0 is success. A negative result comes with one sentence for the client in *error:
 * IMAGE_BAD, the bytes are no such picture (damaged, unknown, or what a step cannot work on);
 * IMAGE_TOO_LARGE, beyond the limits; IMAGE_NO_MEMORY.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IMAGE_BAD (-2)
#define IMAGE_TOO_LARGE (-7)
#define IMAGE_NO_MEMORY (-12)
#define IMAGE_ERROR_MAX 256
#define IMAGE_LAB_SIGN 128 /* of a and b, the bit that is the other way round outside */
#define IMAGE_ALIGN 64     /* bytes: of the first row, and of the stride */

struct image_error {
	char text[IMAGE_ERROR_MAX]; /* one sentence without a full stop */
};

enum image_mode {
	IMAGE_1,
	IMAGE_L,
	IMAGE_P,
	IMAGE_I16,
	IMAGE_LA,
	IMAGE_RGB,
	IMAGE_RGBA,
	IMAGE_CMYK,
	IMAGE_LAB, /* these two come from Pillow only */
	IMAGE_F,
	IMAGE_MODES
};

/* Of mode P. `alpha`: the file tells one for its colours; otherwise all are 255. Of the modes 1, L,
 * I16 and RGB only `keyed`: one colour, `key`, is transparent where it is converted to RGBA or LA.
 * `told` is what the file says of that, which other conversions go by: 1 number, or 3.
 */
struct image_palette {
	uint8_t rgba[256][4];
	unsigned n;
	bool alpha, keyed;
	uint8_t key[3]; /* as the pixels are in RGB */
	uint8_t n_told;
	uint16_t told[3];
};

struct image {
	enum image_mode mode;
	uint32_t width, height; /* pixels, at least 1 */
	size_t stride;          /* bytes from a row to the next */
	uint8_t *pixels;        /* height * stride bytes, IMAGE_ALIGN-aligned; ours to free */
	struct image_palette palette;
};

/* "RGB"; never NULL. */
const char *image_mode_name(enum image_mode mode);
/* Bytes of a pixel. */
unsigned image_pixel(enum image_mode mode);
/* Channels that a tensor of it has: 1, 2, 3 or 4. */
unsigned image_bands(enum image_mode mode);

/* Memory for the pixels, whose values are not set. 0, IMAGE_TOO_LARGE (beyond what a size_t
 * counts) or IMAGE_NO_MEMORY. */
int image_create(struct image *ret, enum image_mode mode, uint32_t width, uint32_t height,
		 struct image_error *e);
/* NULL and a zeroed image are fine. */
void image_free(struct image *image);
/* Dense channels, as Pillow's tobytes() has them (of mode 1 a byte for each pixel): bytes of a row,
 * and a row out of the picture and into it. */
size_t image_row(const struct image *image);
void image_get_row(const struct image *image, uint32_t y, uint8_t *to);
void image_put_row(struct image *image, uint32_t y, const uint8_t *from);
/* Writes the sentence; returns `code`. */
int image_fail(struct image_error *e, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
