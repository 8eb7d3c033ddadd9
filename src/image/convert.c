/* SPDX-License-Identifier: Apache-2.0 */
#include "image/convert.h"

#include <string.h>

#include "base/util.h"
#include "image/kernels.h"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the first channel is the lowest byte");

#define CONVERT(name)                                                                              \
	static void name(uint8_t *restrict to, const uint8_t *restrict from, size_t n,             \
			 const struct image_palette *palette _unused_)

#define BLOCK 512 /* pixels that are grey before they are anything else */
#define OPAQUE UINT32_C(0xff000000)
#define BYTES UINT32_C(0x00010101) /* times a byte: that one in all channels but the last */

/* Pixels of 4 bytes are numbers here, the first channel the lowest byte, so that compilers see how
 * to work on several at once. */
static inline uint32_t pixel_at(const uint8_t *from, size_t i)
{
	uint32_t p;

	memcpy(&p, from + 4 * i, 4);
	return p;
}

static inline void put(uint8_t *to, size_t i, uint32_t p)
{
	memcpy(to + 4 * i, &p, 4);
}

static uint8_t luma(const uint8_t *rgb)
{
	return (uint8_t)((rgb[0] * LUMA_RED + rgb[1] * LUMA_GREEN + rgb[2] * LUMA_BLUE +
			  LUMA_HALF) >>
			 LUMA_BITS);
}

/* Values above 255 are white, not scaled. */
static inline uint32_t clip16(const uint8_t *from, size_t i)
{
	uint16_t v;

	memcpy(&v, from + 2 * i, 2);
	return v > 255 ? 255 : v;
}

static uint32_t key_of(const struct image_palette *palette)
{
	return palette->key[0] | (uint32_t)palette->key[1] << 8 | (uint32_t)palette->key[2] << 16;
}

static void apply_key(uint8_t *to, size_t n, const struct image_palette *palette)
{
	uint32_t key;

	if (!palette || !palette->keyed)
		return;
	key = key_of(palette) | OPAQUE;
	for (size_t i = 0; i < n; i++) {
		uint32_t p = pixel_at(to, i);

		put(to, i, p == key ? p & ~OPAQUE : p);
	}
}

CONVERT(copy_1)
{
	memcpy(to, from, n);
}

CONVERT(copy_2)
{
	memcpy(to, from, n * 2);
}

CONVERT(copy_4)
{
	memcpy(to, from, n * 4);
}

/* ---- from grey: 1, L and I;16 ---- */

CONVERT(l_to_rgb)
{
	for (size_t i = 0; i < n; i++)
		put(to, i, from[i] * BYTES | OPAQUE);
}

CONVERT(l_to_rgba)
{
	l_to_rgb(to, from, n, palette);
	apply_key(to, n, palette);
}

/* Black ink alone. */
CONVERT(l_to_cmyk)
{
	for (size_t i = 0; i < n; i++)
		put(to, i, ~(uint32_t)from[i] << 24);
}

CONVERT(i16_to_l)
{
	for (size_t i = 0; i < n; i++)
		to[i] = (uint8_t)clip16(from, i);
}

CONVERT(i16_to_rgb)
{
	for (size_t i = 0; i < n; i++)
		put(to, i, clip16(from, i) * BYTES | OPAQUE);
}

CONVERT(i16_to_rgba)
{
	i16_to_rgb(to, from, n, palette);
	apply_key(to, n, palette);
}

CONVERT(i16_to_cmyk)
{
	for (size_t i = 0; i < n; i++)
		put(to, i, ~clip16(from, i) << 24);
}

CONVERT(la_to_l)
{
	for (size_t i = 0; i < n; i++)
		to[i] = (uint8_t)pixel_at(from, i);
}

CONVERT(la_to_cmyk)
{
	for (size_t i = 0; i < n; i++)
		put(to, i, ~pixel_at(from, i) << 24);
}

/* ---- from colours ---- */

/* From LA and RGBA: the alpha is dropped. */
CONVERT(to_rgb)
{
	for (size_t i = 0; i < n; i++)
		put(to, i, pixel_at(from, i) | OPAQUE);
}

CONVERT(rgb_to_l)
{
	image_kernels()->grey(to, from, n);
}

CONVERT(rgb_to_rgba)
{
	memcpy(to, from, n * 4);
	apply_key(to, n, palette);
}

/* The alpha of colours beside their grey. */
CONVERT(rgba_to_la)
{
	uint8_t grey[BLOCK];

	for (size_t at = 0; at < n; at += BLOCK, to += BLOCK * 4, from += BLOCK * 4) {
		size_t some = MIN(n - at, BLOCK);

		image_kernels()->grey(grey, from, some);
		for (size_t i = 0; i < some; i++)
			put(to, i, grey[i] * BYTES | (pixel_at(from, i) & OPAQUE));
	}
}

/* Pillow looks for the transparent colour among those of the source, and puts its red there. */
CONVERT(rgb_to_la)
{
	uint32_t key, there;

	rgba_to_la(to, from, n, NULL);
	if (!palette || !palette->keyed)
		return;
	key = key_of(palette);
	there = palette->key[0] * BYTES;
	for (size_t i = 0; i < n; i++)
		put(to, i, (pixel_at(from, i) & ~OPAQUE) == key ? there : pixel_at(to, i));
}

CONVERT(rgb_to_cmyk)
{
	for (size_t i = 0; i < n; i++)
		put(to, i, ~pixel_at(from, i) & ~OPAQUE);
}

CONVERT(cmyk_to_rgb)
{
	image_kernels()->light(to, from, n);
}

CONVERT(cmyk_to_l)
{
	uint8_t rgb[BLOCK * 4];

	for (size_t at = 0; at < n; at += BLOCK) {
		size_t some = MIN(n - at, BLOCK);

		image_kernels()->light(rgb, from + at * 4, some);
		image_kernels()->grey(to + at, rgb, some);
	}
}

CONVERT(cmyk_to_la)
{
	uint8_t rgb[BLOCK * 4];

	for (size_t at = 0; at < n; at += BLOCK) {
		size_t some = MIN(n - at, BLOCK);

		image_kernels()->light(rgb, from + at * 4, some);
		rgba_to_la(to + at * 4, rgb, some, NULL);
	}
}

/* ---- from floats, whose values are cut to bytes ---- */

CONVERT(f_to_l)
{
	for (size_t i = 0; i < n; i++) {
		float v;

		memcpy(&v, from + 4 * i, sizeof(v));
		to[i] = !(v > 0) ? 0 : v >= 255 ? 255 : (uint8_t)v;
	}
}

static inline void by_grey(uint8_t *to, const uint8_t *from, size_t n, image_convert_fn *convert)
{
	uint8_t grey[BLOCK];

	for (size_t at = 0; at < n; at += BLOCK) {
		size_t some = MIN(n - at, BLOCK);

		f_to_l(grey, from + at * 4, some, NULL);
		convert(to + at * 4, grey, some, NULL);
	}
}

CONVERT(f_to_rgb)
{
	by_grey(to, from, n, l_to_rgb);
}

CONVERT(f_to_cmyk)
{
	by_grey(to, from, n, l_to_cmyk);
}

/* ---- from a palette: what becomes of each colour is known before it comes ---- */

CONVERT(p_to_l)
{
	uint8_t grey[256];

	image_kernels()->grey(grey, palette->rgba[0], 256);
	for (size_t i = 0; i < n; i++)
		to[i] = grey[from[i]];
}

static void look_up(uint8_t *to, const uint8_t *from, size_t n, image_convert_fn *convert,
		    const struct image_palette *palette)
{
	uint8_t colours[256 * 4];

	convert(colours, palette->rgba[0], 256, NULL);
	for (size_t i = 0; i < n; i++)
		put(to, i, pixel_at(colours, from[i]));
}

CONVERT(p_to_la)
{
	look_up(to, from, n, rgba_to_la, palette);
}

CONVERT(p_to_rgb)
{
	look_up(to, from, n, to_rgb, palette);
}

CONVERT(p_to_rgba)
{
	for (size_t i = 0; i < n; i++)
		put(to, i, pixel_at(palette->rgba[0], from[i]));
}

CONVERT(p_to_cmyk)
{
	look_up(to, from, n, rgb_to_cmyk, palette);
}

static image_convert_fn *const converters[IMAGE_MODES][IMAGE_MODES] = {
	[IMAGE_1] = { [IMAGE_1] = copy_1,
		      [IMAGE_L] = copy_1,
		      [IMAGE_LA] = l_to_rgba,
		      [IMAGE_RGB] = l_to_rgb,
		      [IMAGE_RGBA] = l_to_rgba,
		      [IMAGE_CMYK] = l_to_cmyk },
	[IMAGE_L] = { [IMAGE_L] = copy_1,
		      [IMAGE_LA] = l_to_rgba,
		      [IMAGE_RGB] = l_to_rgb,
		      [IMAGE_RGBA] = l_to_rgba,
		      [IMAGE_CMYK] = l_to_cmyk },
	[IMAGE_P] = { [IMAGE_P] = copy_1,
		      [IMAGE_L] = p_to_l,
		      [IMAGE_LA] = p_to_la,
		      [IMAGE_RGB] = p_to_rgb,
		      [IMAGE_RGBA] = p_to_rgba,
		      [IMAGE_CMYK] = p_to_cmyk },
	[IMAGE_I16] = { [IMAGE_I16] = copy_2,
			[IMAGE_L] = i16_to_l,
			[IMAGE_LA] = i16_to_rgba,
			[IMAGE_RGB] = i16_to_rgb,
			[IMAGE_RGBA] = i16_to_rgba,
			[IMAGE_CMYK] = i16_to_cmyk },
	[IMAGE_LA] = { [IMAGE_L] = la_to_l,
		       [IMAGE_LA] = copy_4,
		       [IMAGE_RGB] = to_rgb,
		       [IMAGE_RGBA] = copy_4,
		       [IMAGE_CMYK] = la_to_cmyk },
	[IMAGE_RGB] = { [IMAGE_L] = rgb_to_l,
			[IMAGE_LA] = rgb_to_la,
			[IMAGE_RGB] = copy_4,
			[IMAGE_RGBA] = rgb_to_rgba,
			[IMAGE_CMYK] = rgb_to_cmyk },
	[IMAGE_RGBA] = { [IMAGE_L] = rgb_to_l,
			 [IMAGE_LA] = rgba_to_la,
			 [IMAGE_RGB] = to_rgb,
			 [IMAGE_RGBA] = copy_4,
			 [IMAGE_CMYK] = rgb_to_cmyk },
	[IMAGE_CMYK] = { [IMAGE_L] = cmyk_to_l,
			 [IMAGE_LA] = cmyk_to_la,
			 [IMAGE_RGB] = cmyk_to_rgb,
			 [IMAGE_RGBA] = cmyk_to_rgb,
			 [IMAGE_CMYK] = copy_4 },
	[IMAGE_LAB] = { [IMAGE_LAB] = copy_4 },
	[IMAGE_F] = { [IMAGE_F] = copy_4,
		      [IMAGE_L] = f_to_l,
		      [IMAGE_LA] = f_to_rgb,
		      [IMAGE_RGB] = f_to_rgb,
		      [IMAGE_RGBA] = f_to_rgb,
		      [IMAGE_CMYK] = f_to_cmyk },
};

image_convert_fn *image_convert(enum image_mode from, enum image_mode to)
{
	return converters[from][to];
}

/* ---- the transparent colour ---- */

/* Of each number the lower 8 bits count. One alone is that of grey; of colours, as it is after a
 * conversion that Pillow does not see, it is the red one. */
void image_palette_key(struct image_palette *palette, enum image_mode mode, const uint16_t *told,
		       unsigned n)
{
	palette->keyed = true;
	palette->n_told = (uint8_t)n;
	memset(palette->told, 0, sizeof(palette->told));
	memcpy(palette->told, told, n * sizeof(*told));
	for (unsigned i = 0; i < 3; i++)
		palette->key[i] = (uint8_t)palette->told[mode == IMAGE_RGB ? i : 0];
}

/* A palette of which one colour is transparent, and none a little, is known by that one. */
static int only_transparent(const struct image_palette *palette)
{
	int found = -1;

	for (int i = 0; i < 256; i++) {
		if (palette->rgba[i][3] == 255)
			continue;
		if (palette->rgba[i][3] || found >= 0)
			return -1;
		found = i;
	}
	return found;
}

/* The colour as a pixel, which is cut to 255; a single number of RGB is its bytes. False: none. */
static bool told_colour(const struct image_palette *palette, enum image_mode mode, uint8_t rgb[3])
{
	const uint16_t *told = palette->told;

	if (mode == IMAGE_P) {
		memcpy(rgb, palette->rgba[MIN(told[0], 255)], 3);
		return true;
	}
	if (mode == IMAGE_L && palette->n_told == 3)
		return false;
	for (unsigned i = 0; i < 3; i++)
		rgb[i] = (uint8_t)MIN(told[mode == IMAGE_RGB ? i : 0], 255);
	if (mode == IMAGE_RGB && palette->n_told == 1) {
		rgb[0] = (uint8_t)told[0];
		rgb[1] = (uint8_t)(told[0] >> 8);
	}
	return true;
}

static bool has_one_key(enum image_mode mode)
{
	return mode == IMAGE_L || mode == IMAGE_RGB || mode == IMAGE_P;
}

/* Pillow's rules: what becomes of alpha is known no more; among L, RGB and P the colour is
 * converted as a pixel is; otherwise its numbers stay as they are. */
void image_palette_convert(struct image_palette *palette, enum image_mode from, enum image_mode to)
{
	uint8_t rgb[3];
	int only = from == IMAGE_P ? only_transparent(palette) : -1;

	if (from == IMAGE_P) {
		palette->n_told = only >= 0;
		palette->told[0] = (uint16_t)MAX(only, 0);
	}
	palette->alpha = false;
	palette->keyed = false;
	if (!palette->n_told)
		return;
	if ((to == IMAGE_LA || to == IMAGE_RGBA) && from <= IMAGE_RGB && from != IMAGE_LA) {
		palette->n_told = 0;
	} else if (!has_one_key(from) || !has_one_key(to)) {
		image_palette_key(
			palette, to,
			(const uint16_t[]){ palette->told[0], palette->told[1], palette->told[2] },
			palette->n_told);
	} else if (!told_colour(palette, from, rgb)) {
		palette->n_told = 0;
	} else if (to == IMAGE_RGB) {
		image_palette_key(palette, to, (const uint16_t[]){ rgb[0], rgb[1], rgb[2] }, 3);
	} else {
		image_palette_key(palette, to,
				  (const uint16_t[]){ from == IMAGE_L ? rgb[0] : luma(rgb) }, 1);
	}
}
