/* SPDX-License-Identifier: Apache-2.0 */
/* What EXIF's orientations undo, as ImageOps.exif_transpose() does. Rows come from columns, or from
 * the last one up, so what is below stands in memory: all of its window. */
#include <string.h>

#include "base/util.h"
#include "image/stage.h"

#define BLOCK 16 /* rows: of pixels of 4 bytes a line of the cache */

bool orientation_turns(uint8_t o)
{
	return o >= 5;
}

bool orientation_from_right(uint8_t o)
{
	return o == 2 || o == 3 || o == 7 || o == 8;
}

bool orientation_from_bottom(uint8_t o)
{
	return o == 3 || o == 4 || o == 6 || o == 7;
}

static void mirror(uint32_t *lo, uint32_t *end, uint32_t size)
{
	uint32_t first = size - *end;

	*end = size - *lo;
	*lo = first;
}

static int settle(struct stage *s, const struct stage *below, struct window *need,
		  struct image_error *e _unused_)
{
	const struct window w = s->win;

	*need = orientation_turns(s->orientation) ? (struct window){ w.y0, w.x0, w.y1, w.x1 } : w;
	if (orientation_from_right(s->orientation))
		mirror(&need->x0, &need->x1, below->width);
	if (orientation_from_bottom(s->orientation))
		mirror(&need->y0, &need->y1, below->height);
	return 0;
}

static size_t memory(const struct stage *s _unused_, const struct stage *below)
{
	return stage_rows_memory(below, window_height(below));
}

/* Where pixel (x, y) of the whole picture is in that of the stage below. */
static const uint8_t *pixel_below(const struct run *r, unsigned i, uint32_t x, uint32_t y)
{
	const struct stage *s = &r->stages[i], *below = s - 1;
	uint32_t bx = orientation_turns(s->orientation) ? y : x,
		 by = orientation_turns(s->orientation) ? x : y;

	if (orientation_from_right(s->orientation))
		bx = below->width - 1 - bx;
	if (orientation_from_bottom(s->orientation))
		by = below->height - 1 - by;
	return r->at[i].memory + (by - below->win.y0) * stage_stride(below) +
	       (size_t)(bx - below->win.x0) * image_pixel(s->mode);
}

/* From a pixel to the one to the right, or below, where they come from. */
static ptrdiff_t step(const struct stage *s, bool right)
{
	bool back = right == orientation_turns(s->orientation)
			    ? orientation_from_bottom(s->orientation)
			    : orientation_from_right(s->orientation);
	ptrdiff_t bytes = right == orientation_turns(s->orientation)
				  ? (ptrdiff_t)stage_stride(s - 1)
				  : (ptrdiff_t)image_pixel(s->mode);

	return back ? -bytes : bytes;
}

static inline void copy_block(const uint8_t *from, ptrdiff_t right, ptrdiff_t down, uint8_t *to,
			      size_t stride, uint32_t width, uint32_t n, unsigned pixel)
{
	for (uint32_t x = 0; x < width; x++, from += right, to += pixel)
		for (uint32_t y = 0; y < n; y++)
			memcpy(to + y * stride, from + y * down, pixel);
}

/* Some rows at once: they come from pixels side by side. */
static void copy(const uint8_t *from, ptrdiff_t right, ptrdiff_t down, uint8_t *to, size_t stride,
		 uint32_t width, uint32_t n, unsigned pixel)
{
	if (pixel == 1)
		copy_block(from, right, down, to, stride, width, n, 1);
	else if (pixel == 2)
		copy_block(from, right, down, to, stride, width, n, 2);
	else
		copy_block(from, right, down, to, stride, width, n, 4);
}

static int rows(struct run *r, unsigned i, uint8_t *to, size_t stride, uint32_t n,
		struct image_error *e)
{
	const struct stage *s = &r->stages[i], *below = s - 1;
	uint32_t height = window_height(below);
	struct at *at = &r->at[i];

	if (!at->have) {
		int rc = stage_rows(r, i - 1, at->memory, stage_stride(below), height, e);

		if (rc)
			return rc;
		at->have = height;
	}
	for (uint32_t j = 0; j < n; j += BLOCK)
		copy(pixel_below(r, i, s->win.x0, s->win.y0 + at->row + j), step(s, true),
		     step(s, false), to + j * stride, stride, window_width(s), MIN(n - j, BLOCK),
		     image_pixel(s->mode));
	return 0;
}

const struct stage_ops stage_turn = {
	.settle = settle,
	.memory = memory,
	.rows = rows,
};
