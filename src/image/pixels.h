/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Pixels of 1, 2 or 4 bytes in another order. Compiled for speed, and for every processor: what
 * takes the time is memory. Nothing is aligned but to the pixel, or has room. */

#include <stddef.h>
#include <stdint.h>

/* The last of n pixels first. */
void reverse_pixels(uint8_t *to, const uint8_t *from, uint32_t n, unsigned pixel);

/* `height` rows of `width` pixels. The pixel to the right of one comes from `right` bytes further,
 * the one below it from `down` bytes; one of them is a pixel's size, forwards or back. */
void turn_pixels(uint8_t *to, size_t stride, const uint8_t *from, ptrdiff_t right, ptrdiff_t down,
		 uint32_t width, uint32_t height, unsigned pixel);
