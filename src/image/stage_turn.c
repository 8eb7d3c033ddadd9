/* SPDX-License-Identifier: Apache-2.0 */
/* What EXIF's orientations undo, as ImageOps.exif_transpose() does. Rows come from columns, or from
 * the last one up, so what is below stands in memory: all of its window. */
#include "base/util.h"
#include "image/pixels.h"
#include "image/stage.h"

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
	return r->at[i].last.at + (by - below->win.y0) * r->at[i].last.stride +
	       (size_t)(bx - below->win.x0) * image_pixel(s->mode);
}

/* From a pixel to the one to the right, or below, where they come from. */
static ptrdiff_t step(const struct run *r, unsigned i, bool right)
{
	const struct stage *s = &r->stages[i];
	bool back = right == orientation_turns(s->orientation)
			    ? orientation_from_bottom(s->orientation)
			    : orientation_from_right(s->orientation);
	ptrdiff_t bytes = right == orientation_turns(s->orientation)
				  ? (ptrdiff_t)r->at[i].last.stride
				  : (ptrdiff_t)image_pixel(s->mode);

	return back ? -bytes : bytes;
}

static int rows(struct run *r, unsigned i, uint8_t *to, size_t stride, uint32_t n,
		struct image_error *e)
{
	const struct stage *s = &r->stages[i], *below = s - 1;
	uint32_t height = window_height(below);
	struct at *at = &r->at[i];

	if (!at->have) {
		int rc = stage_take(r, i - 1, at->memory, height, &at->last, e);

		if (rc)
			return rc;
		at->have = height;
	}
	turn_pixels(to, stride, pixel_below(r, i, s->win.x0, s->win.y0 + at->row), step(r, i, true),
		    step(r, i, false), window_width(s), n, image_pixel(s->mode));
	return 0;
}

const struct stage_ops stage_turn = {
	.settle = settle,
	.memory = memory,
	.rows = rows,
};
