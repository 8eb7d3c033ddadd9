/* SPDX-License-Identifier: Apache-2.0 */
/* What EXIF's orientations undo, as ImageOps.exif_transpose() does. Rows come from columns, or from
 * the last one up, so what is below stands in memory: all of its window. */
#include <string.h>

#include "base/util.h"
#include "image/stage.h"

/* What is at (x, y) comes from (x, y), or (y, x) where it is turned, counted from the other end
 * where it is mirrored: in the picture below, along its width and height. */
static bool turned(const struct stage *s)
{
	return s->orientation >= 5;
}

static bool from_right(const struct stage *s)
{
	uint8_t o = s->orientation;

	return o == 2 || o == 3 || o == 7 || o == 8;
}

static bool from_bottom(const struct stage *s)
{
	uint8_t o = s->orientation;

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

	*need = turned(s) ? (struct window){ w.y0, w.x0, w.y1, w.x1 } : w;
	if (from_right(s))
		mirror(&need->x0, &need->x1, below->width);
	if (from_bottom(s))
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
	uint32_t bx = turned(s) ? y : x, by = turned(s) ? x : y;

	if (from_right(s))
		bx = below->width - 1 - bx;
	if (from_bottom(s))
		by = below->height - 1 - by;
	return r->at[i].memory + (by - below->win.y0) * stage_stride(below) +
	       (size_t)(bx - below->win.x0) * image_pixel(s->mode);
}

static void copy(const uint8_t *from, ptrdiff_t step, uint8_t *to, uint32_t n, unsigned pixel)
{
	for (uint32_t x = 0; x < n; x++, from += step, to += pixel)
		memcpy(to, from, pixel);
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
	for (uint32_t y = s->win.y0 + at->row; n; n--, y++, to += stride) {
		const uint8_t *p = pixel_below(r, i, s->win.x0, y);
		ptrdiff_t step = window_width(s) > 1 ? pixel_below(r, i, s->win.x0 + 1, y) - p : 0;

		copy(p, step, to, window_width(s), image_pixel(s->mode));
	}
	return 0;
}

const struct stage_ops stage_turn = {
	.settle = settle,
	.memory = memory,
	.rows = rows,
};
