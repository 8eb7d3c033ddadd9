/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What each decoder of src/image is put through: all at once, in rows of odd numbers, smaller, and
 * converted. What is said of a picture must hold, and it is the same either way. */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "image/convert.h"
#include "image/decode.h"

static const struct image_limits fuzz_limits = { .pixels = 1 << 18, .memory = 8 << 20 };

static inline void fuzz_convert(const struct image *image)
{
	static const enum image_mode modes[] = { IMAGE_L, IMAGE_LA, IMAGE_RGB, IMAGE_RGBA,
						 IMAGE_CMYK };
	uint8_t *row = malloc((size_t)image->width * 4);

	assert(row);
	for (unsigned i = 0; i < ARRAY_LEN(modes); i++) {
		image_convert_fn *f = image_convert(image->mode, modes[i]);

		assert(f);
		f(row, image->pixels + (image->height - 1) * image->stride, image->width,
		  &image->palette);
	}
	free(row);
}

/* By rows; where `scaled`, a quarter of it. 0 or the error. */
static inline int fuzz_rows(const uint8_t *data, size_t n, bool scaled, struct image *ret)
{
	struct image_reader *r;
	struct image_error e = { "" };
	int code = image_open(data, n, &fuzz_limits, &r, &e);
	const struct image_info *info;

	if (code)
		return code;
	info = image_reader_info(r);
	if (scaled)
		image_reader_scale(r, info->width / 4, info->height / 4);
	assert(info->width && info->height && info->orientation >= 1 && info->orientation <= 8);
	assert((uint64_t)info->width * info->height <= fuzz_limits.pixels);
	code = image_create(ret, info->mode, info->width, info->height, &e);
	for (uint32_t y = 0, rows; !code && y < info->height; y += rows) {
		rows = MIN(1 + y % 7, info->height - y);
		code = image_reader_rows(r, ret->pixels + y * ret->stride, ret->stride, rows, &e);
	}
	ret->palette = *image_reader_palette(r);
	assert(!code || e.text[0]);
	image_reader_close(r);
	return code;
}

static inline int fuzz_image(const uint8_t *data, size_t n)
{
	struct image all = { 0 }, rows = { 0 }, small = { 0 };
	struct image_error e = { "" };
	int code = image_decode(data, n, &fuzz_limits, &all, &e);

	assert(!code == !fuzz_rows(data, n, false, &rows));
	fuzz_rows(data, n, true, &small);
	if (!code) {
		assert(all.mode == rows.mode && all.width == rows.width);
		for (uint32_t y = 0; y < all.height; y++)
			assert(!memcmp(all.pixels + y * all.stride, rows.pixels + y * rows.stride,
				       (size_t)all.width * image_pixel(all.mode)));
		fuzz_convert(&all);
	}
	assert(!code || (e.text[0] && !all.pixels));
	image_free(&all);
	image_free(&rows);
	image_free(&small);
	return 0;
}
