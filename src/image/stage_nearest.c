/* SPDX-License-Identifier: Apache-2.0 */
/* Resizing by taking the nearest pixel, where Pillow steps through the picture by adding. */
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "image/stage.h"

/* Pillow adds a step for each pixel of one byte a channel, and multiplies for wider ones; what
 * errors of rounding add up to is part of the result. */
static uint32_t *places(uint32_t size, uint32_t result, uint32_t first, uint32_t end, bool adds)
{
	uint32_t *ret = calloc(end - first, sizeof(*ret));
	double step = (double)size / result, at = step * 0.5;

	for (uint32_t i = 0; ret && i < end; i++) {
		if (i >= first)
			ret[i - first] = MIN((uint32_t)(adds ? at : step * (i + 0.5)), size - 1);
		at += step;
	}
	return ret;
}

static int settle(struct stage *s, const struct stage *below, struct window *need,
		  struct image_error *e)
{
	const struct window *w = &s->win;
	bool adds = s->mode != IMAGE_I16;

	s->nearest.x = places(below->width, s->width, w->x0, w->x1, adds);
	s->nearest.y = places(below->height, s->height, w->y0, w->y1, adds);
	if (!s->nearest.x || !s->nearest.y)
		return image_fail(e, IMAGE_NO_MEMORY, "there is no memory to resize an image");
	*need = (struct window){ s->nearest.x[0], s->nearest.y[0],
				 s->nearest.x[w->x1 - w->x0 - 1] + 1,
				 s->nearest.y[w->y1 - w->y0 - 1] + 1 };
	return 0;
}

static void place(struct stage *s, const struct stage *below)
{
	for (uint32_t i = 0; i < window_width(s); i++)
		s->nearest.x[i] -= below->win.x0;
	for (uint32_t i = 0; i < window_height(s); i++)
		s->nearest.y[i] -= below->win.y0;
}

static size_t memory(const struct stage *s _unused_, const struct stage *below)
{
	return stage_rows_memory(below, 1);
}

/* The row that result's row `y` is of, and of all that come before it none. */
static int find(struct run *r, unsigned i, uint32_t y, struct image_error *e)
{
	const struct stage *s = &r->stages[i];
	struct at *at = &r->at[i];
	uint32_t wanted = s->nearest.y[y];
	int rc;

	if (at->have > wanted)
		return 0;
	rc = stage_skip(r, i - 1, at->memory, wanted - at->have, e);
	rc = rc ? rc : stage_take(r, i - 1, at->memory, 1, &at->last, e);
	at->have = wanted + 1;
	return rc;
}

static void pick(const struct stage *s, const uint8_t *from, uint8_t *to)
{
	const uint32_t *x = s->nearest.x;
	uint32_t n = window_width(s);

	switch (image_pixel(s->mode)) {
	case 1:
		for (uint32_t i = 0; i < n; i++)
			to[i] = from[x[i]];
		break;
	case 2:
		for (uint32_t i = 0; i < n; i++)
			memcpy(to + i * 2, from + (size_t)x[i] * 2, 2);
		break;
	default:
		for (uint32_t i = 0; i < n; i++)
			memcpy(to + i * 4, from + (size_t)x[i] * 4, 4);
	}
}

static int rows(struct run *r, unsigned i, uint8_t *to, size_t stride, uint32_t n,
		struct image_error *e)
{
	const struct stage *s = &r->stages[i];
	int rc = 0;

	for (uint32_t y = r->at[i].row; !rc && n; n--, y++, to += stride) {
		rc = find(r, i, y, e);
		if (!rc)
			pick(s, r->at[i].last.at, to);
	}
	return rc;
}

static void finish(struct stage *s)
{
	free(s->nearest.x);
	free(s->nearest.y);
}

const struct stage_ops stage_nearest = {
	.settle = settle,
	.place = place,
	.memory = memory,
	.rows = rows,
	.finish = finish,
};
