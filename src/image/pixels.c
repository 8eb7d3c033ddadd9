/* SPDX-License-Identifier: Apache-2.0 */
#include "image/pixels.h"

#include <string.h>

#include "base/util.h"

/* What is made together when rows become columns: whole lines of the cache of the result, from
 * whole lines of few rows. */
#define TILE_ROWS 64
#define TILE_BYTES 64

static inline void reverse_each(uint8_t *restrict to, const uint8_t *restrict from, uint32_t n,
				unsigned pixel)
{
	const uint8_t *last = from + (size_t)n * pixel - pixel;

	for (size_t x = 0; x < n; x++)
		memcpy(to + x * pixel, last - x * pixel, pixel);
}

/* Eight at once: a number the other way round is what is wanted. */
static void reverse_bytes(uint8_t *restrict to, const uint8_t *restrict from, uint32_t n)
{
	uint32_t x = 0;

	for (; x + 8 <= n; x += 8) {
		uint64_t eight;

		memcpy(&eight, from + (n - 8 - x), 8);
		eight = __builtin_bswap64(eight);
		memcpy(to + x, &eight, 8);
	}
	reverse_each(to + x, from, n - x, 1);
}

void reverse_pixels(uint8_t *to, const uint8_t *from, uint32_t n, unsigned pixel)
{
	if (pixel == 1)
		reverse_bytes(to, from, n);
	else if (pixel == 2)
		reverse_each(to, from, n, 2);
	else
		reverse_each(to, from, n, 4);
}

static inline void turn_tile(uint8_t *restrict to, size_t stride, const uint8_t *restrict from,
			     ptrdiff_t right, ptrdiff_t down, uint32_t width, uint32_t height,
			     unsigned pixel)
{
	for (uint32_t y = 0; y < height; y++, to += stride, from += down)
		for (uint32_t x = 0; x < width; x++)
			memcpy(to + (size_t)x * pixel, from + x * right, pixel);
}

static inline void turn_tiles(uint8_t *to, size_t stride, const uint8_t *from, ptrdiff_t right,
			      ptrdiff_t down, uint32_t width, uint32_t height, unsigned pixel)
{
	const uint32_t columns = TILE_BYTES / pixel;

	for (uint32_t y = 0; y < height; y += TILE_ROWS)
		for (uint32_t x = 0; x < width; x += columns)
			turn_tile(to + y * stride + (size_t)x * pixel, stride,
				  from + x * right + y * down, right, down, MIN(width - x, columns),
				  MIN(height - y, (uint32_t)TILE_ROWS), pixel);
}

void turn_pixels(uint8_t *to, size_t stride, const uint8_t *from, ptrdiff_t right, ptrdiff_t down,
		 uint32_t width, uint32_t height, unsigned pixel)
{
	if (right == (ptrdiff_t)pixel)
		for (uint32_t y = 0; y < height; y++)
			memcpy(to + y * stride, from + y * down, (size_t)width * pixel);
	else if (right == -(ptrdiff_t)pixel)
		for (uint32_t y = 0; y < height; y++)
			reverse_pixels(to + y * stride,
				       from + y * down - (ptrdiff_t)(width - 1) * pixel, width,
				       pixel);
	else if (pixel == 1)
		turn_tiles(to, stride, from, right, down, width, height, 1);
	else if (pixel == 2)
		turn_tiles(to, stride, from, right, down, width, height, 2);
	else
		turn_tiles(to, stride, from, right, down, width, height, 4);
}
