/* SPDX-License-Identifier: Apache-2.0 */
#include "image/convert.h"

#include <string.h>

#include "base/util.h"
#include "image/kernels.h"

#define CONVERT(name)                                                                              \
	static void name(uint8_t *to, const uint8_t *from, size_t n,                               \
			 const struct image_palette *palette _unused_)

static uint8_t luma(const uint8_t *rgb)
{
	return (uint8_t)((rgb[0] * LUMA_RED + rgb[1] * LUMA_GREEN + rgb[2] * LUMA_BLUE +
			  LUMA_HALF) >>
			 LUMA_BITS);
}

static void put(uint8_t *to, uint8_t r, uint8_t g, uint8_t b, uint8_t a)
{
	to[0] = r;
	to[1] = g;
	to[2] = b;
	to[3] = a;
}

static void grey(uint8_t *to, uint8_t v, uint8_t a)
{
	put(to, v, v, v, a);
}

/* Values above 255 are white, not scaled. */
static uint8_t clip16(const uint8_t *from)
{
	return from[1] ? 255 : from[0];
}

/* Black ink alone. */
static void ink(uint8_t *to, uint8_t v)
{
	put(to, 0, 0, 0, (uint8_t)~v);
}

static uint8_t without_ink(uint8_t v, uint8_t white)
{
	unsigned product = v * white + 128U;

	return (uint8_t)(white - (((product >> 8) + product) >> 8));
}

static void cmyk_to_rgb(uint8_t *to, const uint8_t *from)
{
	uint8_t white = (uint8_t)~from[3];

	put(to, without_ink(from[0], white), without_ink(from[1], white),
	    without_ink(from[2], white), 255);
}

static void apply_key(uint8_t *to, size_t n, const struct image_palette *palette)
{
	if (!palette || !palette->keyed)
		return;
	for (size_t i = 0; i < n; i++, to += 4)
		if (!memcmp(to, palette->key, 3))
			to[3] = 0;
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
		grey(to + i * 4, from[i], 255);
}

CONVERT(l_to_rgba)
{
	l_to_rgb(to, from, n, palette);
	apply_key(to, n, palette);
}

CONVERT(l_to_cmyk)
{
	for (size_t i = 0; i < n; i++)
		ink(to + i * 4, from[i]);
}

CONVERT(i16_to_l)
{
	for (size_t i = 0; i < n; i++)
		to[i] = clip16(from + i * 2);
}

CONVERT(i16_to_rgb)
{
	for (size_t i = 0; i < n; i++)
		grey(to + i * 4, clip16(from + i * 2), 255);
}

CONVERT(i16_to_rgba)
{
	i16_to_rgb(to, from, n, palette);
	apply_key(to, n, palette);
}

CONVERT(i16_to_cmyk)
{
	for (size_t i = 0; i < n; i++)
		ink(to + i * 4, clip16(from + i * 2));
}

CONVERT(la_to_l)
{
	for (size_t i = 0; i < n; i++)
		to[i] = from[i * 4];
}

CONVERT(la_to_cmyk)
{
	for (size_t i = 0; i < n; i++)
		ink(to + i * 4, from[i * 4]);
}

/* ---- from colours ---- */

/* From LA and RGBA: the alpha is dropped. */
CONVERT(to_rgb)
{
	for (size_t i = 0; i < n; i++, from += 4)
		put(to + i * 4, from[0], from[1], from[2], 255);
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

/* Pillow looks for the transparent colour among those of the source, and puts its red there. */
CONVERT(rgb_to_la)
{
	const uint8_t *key = palette && palette->keyed ? palette->key : NULL;

	for (size_t i = 0; i < n; i++, from += 4)
		if (key && !memcmp(from, key, 3))
			grey(to + i * 4, key[0], 0);
		else
			grey(to + i * 4, luma(from), 255);
}

CONVERT(rgba_to_la)
{
	for (size_t i = 0; i < n; i++, from += 4)
		grey(to + i * 4, luma(from), from[3]);
}

CONVERT(rgb_to_cmyk)
{
	for (size_t i = 0; i < n; i++, from += 4)
		put(to + i * 4, (uint8_t)~from[0], (uint8_t)~from[1], (uint8_t)~from[2], 0);
}

CONVERT(cmyk_to_rgb_row)
{
	for (size_t i = 0; i < n; i++)
		cmyk_to_rgb(to + i * 4, from + i * 4);
}

CONVERT(cmyk_to_l)
{
	uint8_t rgb[4];

	for (size_t i = 0; i < n; i++) {
		cmyk_to_rgb(rgb, from + i * 4);
		to[i] = luma(rgb);
	}
}

CONVERT(cmyk_to_la)
{
	uint8_t rgb[4];

	for (size_t i = 0; i < n; i++) {
		cmyk_to_rgb(rgb, from + i * 4);
		grey(to + i * 4, luma(rgb), 255);
	}
}

/* ---- from a palette ---- */

CONVERT(p_to_l)
{
	for (size_t i = 0; i < n; i++)
		to[i] = luma(palette->rgba[from[i]]);
}

CONVERT(p_to_la)
{
	for (size_t i = 0; i < n; i++)
		grey(to + i * 4, luma(palette->rgba[from[i]]), palette->rgba[from[i]][3]);
}

CONVERT(p_to_rgb)
{
	for (size_t i = 0; i < n; i++) {
		memcpy(to + i * 4, palette->rgba[from[i]], 3);
		to[i * 4 + 3] = 255;
	}
}

CONVERT(p_to_rgba)
{
	for (size_t i = 0; i < n; i++)
		memcpy(to + i * 4, palette->rgba[from[i]], 4);
}

CONVERT(p_to_cmyk)
{
	for (size_t i = 0; i < n; i++) {
		const uint8_t *rgb = palette->rgba[from[i]];

		put(to + i * 4, (uint8_t)~rgb[0], (uint8_t)~rgb[1], (uint8_t)~rgb[2], 0);
	}
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
			 [IMAGE_RGB] = cmyk_to_rgb_row,
			 [IMAGE_RGBA] = cmyk_to_rgb_row,
			 [IMAGE_CMYK] = copy_4 },
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
