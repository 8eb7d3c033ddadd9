/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resizing is two stages, as in Pillow: along the width, whose result is rounded to bytes, then
 * along the height. The second keeps as many rows as one of its results needs, in a ring.
 *
 * Kernels know pixels of 4 bytes. Four rows of pixels of one byte are woven into one of such.
 */
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "image/kernels.h"
#include "image/stage.h"

static void finish(struct stage *s)
{
	image_weights_finish(&s->pass.weights);
}

static int weights_of(struct stage *s, uint32_t first, uint32_t end, struct image_error *e)
{
	struct image_axis *a = &s->pass.axis;
	const struct image_kernels *kernels = s->mode == IMAGE_I16 ? &image_kernels_16
					      : s->mode == IMAGE_F ? &image_kernels_f
								   : image_kernels();

	a->first = first;
	a->end = end;
	return image_weights_init(&s->pass.weights, a, s->pass.filter, kernels, e);
}

static void shift(struct image_weights *w, uint32_t by)
{
	for (uint32_t i = 0; i < w->n; i++)
		w->lo[i] -= by;
}

/* ---- along the width ---- */

static int across_settle(struct stage *s, const struct stage *below _unused_, struct window *need,
			 struct image_error *e)
{
	int rc = weights_of(s, s->win.x0, s->win.x1, e);

	*need = s->win;
	if (!rc)
		image_weights_range(&s->pass.weights, &need->x0, &need->x1);
	return rc;
}

static void across_place(struct stage *s, const struct stage *below)
{
	shift(&s->pass.weights, below->win.x0);
}

/* Rows of the stage below; where they are woven, 4 of them in pixels of 4 bytes, and the result of
 * these. */
static size_t across_memory(const struct stage *s, const struct stage *below)
{
	size_t woven = image_pixel(s->mode) == 1 ? 4 : 0;

	return stage_rows_memory(below, IMAGE_ROWS) +
	       woven * (stage_stride(below) + stage_stride(s)) + IMAGE_ALIGN;
}

static void weave(const uint8_t *const from[IMAGE_ROWS], uint8_t *to, uint32_t n)
{
	for (uint32_t x = 0; x < n; x++) {
		to[4 * x] = from[0][x];
		to[4 * x + 1] = from[1][x];
		to[4 * x + 2] = from[2][x];
		to[4 * x + 3] = from[3][x];
	}
}

static void unweave(const uint8_t *from, uint8_t *const to[IMAGE_ROWS], uint32_t n)
{
	for (uint32_t x = 0; x < n; x++) {
		to[0][x] = from[4 * x];
		to[1][x] = from[4 * x + 1];
		to[2][x] = from[4 * x + 2];
		to[3][x] = from[4 * x + 3];
	}
}

/* One kernel call is enough for 16 rows, but pictures of one channel are not worth it. */
static void across_woven(const struct stage *s, const struct stage *below,
			 const uint8_t *const from[IMAGE_ROWS], uint8_t *const to[IMAGE_ROWS],
			 uint8_t *memory)
{
	const struct image_weights *w = &s->pass.weights;
	uint8_t *in = memory, *out = memory + 4 * stage_stride(below) + IMAGE_ALIGN;
	const uint8_t *const ins[IMAGE_ROWS] = { in, in, in, in };
	uint8_t *const outs[IMAGE_ROWS] = { out, out, out, out };

	weave(from, in, window_width(below));
	w->kernels->across(w, ins, outs);
	unweave(out, to, window_width(s));
}

/* Kernels read a little behind a row. In a picture in memory there is another row, but not behind
 * the last one. */
static int take_with_room(struct run *r, unsigned i, uint8_t *memory, uint32_t n, struct rows *ret,
			  struct image_error *e)
{
	if (r->at[0].row + n < window_height(&r->stages[0]))
		return stage_take(r, i, memory, n, ret, e);
	*ret = (struct rows){ memory, stage_stride(&r->stages[i]) };
	return stage_rows(r, i, memory, ret->stride, n, e);
}

static int across_some(struct run *r, unsigned i, uint8_t *to, size_t stride, uint32_t n,
		       struct image_error *e)
{
	const struct stage *s = &r->stages[i], *below = s - 1;
	uint8_t *memory = r->at[i].memory;
	const uint8_t *from[IMAGE_ROWS];
	uint8_t *tos[IMAGE_ROWS];
	struct rows rows;
	int rc = take_with_room(r, i - 1, memory, n, &rows, e);

	if (rc)
		return rc;
	for (uint32_t j = 0; j < IMAGE_ROWS; j++) { /* the last one again where there are fewer */
		from[j] = rows.at + MIN(j, n - 1) * rows.stride;
		tos[j] = to + MIN(j, n - 1) * stride;
	}
	if (image_pixel(s->mode) == 1)
		across_woven(s, below, from, tos, memory + stage_rows_memory(below, IMAGE_ROWS));
	else
		s->pass.weights.kernels->across(&s->pass.weights, from, tos);
	return 0;
}

static int across_rows(struct run *r, unsigned i, uint8_t *to, size_t stride, uint32_t n,
		       struct image_error *e)
{
	int rc = 0;

	for (uint32_t j = 0; !rc && j < n; j += IMAGE_ROWS)
		rc = across_some(r, i, to + j * stride, stride, MIN(n - j, IMAGE_ROWS), e);
	return rc;
}

/* ---- along the height ---- */

static int down_settle(struct stage *s, const struct stage *below _unused_, struct window *need,
		       struct image_error *e)
{
	int rc = weights_of(s, s->win.y0, s->win.y1, e);

	*need = s->win;
	if (!rc)
		image_weights_range(&s->pass.weights, &need->y0, &need->y1);
	return rc;
}

static void down_place(struct stage *s, const struct stage *below)
{
	shift(&s->pass.weights, below->win.y0);
}

/* Rows come IMAGE_ROWS at a time, and never over the end of the ring. */
static size_t ring_rows(const struct stage *s)
{
	return ALIGN_UP((size_t)s->pass.weights.taps + IMAGE_ROWS - 1, IMAGE_ROWS);
}

static size_t pointers_memory(const struct stage *s)
{
	return ALIGN_UP(s->pass.weights.taps * sizeof(uint8_t *), IMAGE_ALIGN);
}

static size_t down_memory(const struct stage *s, const struct stage *below)
{
	return pointers_memory(s) + stage_rows_memory(below, ring_rows(s));
}

static int fill_ring(struct run *r, unsigned i, uint8_t *ring, uint32_t end, struct image_error *e)
{
	const struct stage *s = &r->stages[i], *below = s - 1;
	size_t stride = stage_stride(below), rows = ring_rows(s);
	uint32_t height = window_height(below);
	struct at *at = &r->at[i];
	int rc = 0;

	while (!rc && at->have < end) {
		uint32_t n = MIN(height - at->have, IMAGE_ROWS);

		rc = stage_rows(r, i - 1, ring + at->have % rows * stride, stride, n, e);
		at->have += n;
	}
	return rc;
}

static int down_rows(struct run *r, unsigned i, uint8_t *to, size_t stride, uint32_t n,
		     struct image_error *e)
{
	const struct stage *s = &r->stages[i], *below = s - 1;
	const struct image_weights *w = &s->pass.weights;
	unsigned pixel = image_pixel(s->mode);
	const uint8_t **rows = (const uint8_t **)(void *)r->at[i].memory;
	uint8_t *ring = r->at[i].memory + pointers_memory(s);
	size_t skip = (size_t)(s->win.x0 - below->win.x0) * pixel;

	for (uint32_t y = r->at[i].row; n; n--, y++, to += stride) {
		uint32_t lo = w->lo[y], count = w->count[y];
		int rc = fill_ring(r, i, ring, lo + count, e);

		if (rc)
			return rc;
		for (uint32_t j = 0; j < w->taps; j++) { /* what has no weight may be any */
			size_t at = (lo + MIN(j, count - 1)) % ring_rows(s);

			rows[j] = ring + at * stage_stride(below) + skip;
		}
		w->kernels->down(w, y, rows, to, (size_t)window_width(s) * pixel);
	}
	return 0;
}

const struct stage_ops stage_across = {
	.settle = across_settle,
	.place = across_place,
	.memory = across_memory,
	.rows = across_rows,
	.finish = finish,
};

const struct stage_ops stage_down = {
	.settle = down_settle,
	.place = down_place,
	.memory = down_memory,
	.rows = down_rows,
	.finish = finish,
};
