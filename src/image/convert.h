/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * From one mode to another, pixel by pixel, as Pillow's convert() does it. What needs more than the
 * pixel (1 and P, which are dithered and chosen) is not here. Pure; threads may share a palette.
 */

#include "image/image.h"

/* n pixels of a row; `to` and `from` do not overlap. `palette`: that of the picture, or NULL where
 * it is not P and has no transparent colour. */
typedef void image_convert_fn(uint8_t *to, const uint8_t *from, size_t n,
			      const struct image_palette *palette);

/* To L, LA, RGB, RGBA or CMYK, from any mode but LAB; NULL for others. From a mode to itself it
 * copies. */
image_convert_fn *image_convert(enum image_mode from, enum image_mode to);
/* What is known of a picture's colours after it was converted. Of n numbers from a file (1, or 3 of
 * RGB) comes the transparent colour of a picture that is not P. */
void image_palette_convert(struct image_palette *palette, enum image_mode from, enum image_mode to);
void image_palette_key(struct image_palette *palette, enum image_mode mode, const uint16_t *told,
		       unsigned n);
