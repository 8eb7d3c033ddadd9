/* SPDX-License-Identifier: Apache-2.0 */
/* Stages that need no more than one row at a time: the reader, other places, other pixels. */
#include <string.h>

#include "base/util.h"
#include "image/pixels.h"
#include "image/stage.h"

int stage_rows(struct run *r, unsigned i, uint8_t *to, size_t stride, uint32_t n,
	       struct image_error *e)
{
	int rc;

	assert(n <= window_height(&r->stages[i]) - r->at[i].row);
	rc = r->stages[i].ops->rows(r, i, to, stride, n, e);
	if (!rc)
		r->at[i].row += n;
	return rc;
}

static int stage_borrow(struct run *r, unsigned i, uint32_t n, struct rows *ret,
			struct image_error *e)
{
	const struct stage *s = &r->stages[i];
	int rc;

	assert(n <= window_height(s) - r->at[i].row);
	*ret = (struct rows){ 0 };
	rc = s->ops->borrow ? s->ops->borrow(r, i, n, ret, e) : 0;
	if (!rc && ret->at)
		r->at[i].row += n;
	return rc;
}

int stage_take(struct run *r, unsigned i, uint8_t *memory, uint32_t n, struct rows *ret,
	       struct image_error *e)
{
	int rc = stage_borrow(r, i, n, ret, e);

	if (rc || ret->at)
		return rc;
	*ret = (struct rows){ memory, stage_stride(&r->stages[i]) };
	return stage_rows(r, i, memory, ret->stride, n, e);
}

int stage_skip(struct run *r, unsigned i, uint8_t *memory, uint32_t n, struct image_error *e)
{
	struct rows rows;
	int rc = 0;

	for (; !rc && n; n--)
		rc = stage_take(r, i, memory, 1, &rows, e);
	return rc;
}

static int settle_same(struct stage *s, const struct stage *below _unused_, struct window *need,
		       struct image_error *e _unused_)
{
	*need = s->win;
	return 0;
}

static size_t one_row(const struct stage *s _unused_, const struct stage *below)
{
	return stage_rows_memory(below, 1);
}

/* ---- the reader ---- */

static size_t no_memory(const struct stage *s _unused_, const struct stage *below _unused_)
{
	return 0;
}

static int source_begin(struct run *r, unsigned i, struct image_error *e)
{
	return r->at[i].row ? 0 : image_reader_skip(r->from, r->stages[i].win.y0, e);
}

static int source_rows(struct run *r, unsigned i, uint8_t *to, size_t stride, uint32_t n,
		       struct image_error *e)
{
	int rc = source_begin(r, i, e);

	return rc ? rc : image_reader_rows(r->from, to, stride, n, e);
}

static int source_borrow(struct run *r, unsigned i, uint32_t n, struct rows *ret,
			 struct image_error *e)
{
	int rc;

	if (!image_reader_borrow(r->from, 0, &ret->stride))
		return 0;
	rc = source_begin(r, i, e);
	if (!rc)
		ret->at = image_reader_borrow(r->from, n, &ret->stride);
	return rc;
}

/* ---- crop and pad ---- */

/* Of what is wanted from `first` to `end` the part that a picture of `size` has; one pixel of it
 * where it has none. */
static void overlap(int64_t first, int64_t end, uint32_t size, uint32_t *lo, uint32_t *hi)
{
	*lo = (uint32_t)MIN(MAX(first, 0), (int64_t)size - 1);
	*hi = (uint32_t)MAX(MIN(end, (int64_t)size), (int64_t)*lo + 1);
}

static int place_settle(struct stage *s, const struct stage *below, struct window *need,
			struct image_error *e _unused_)
{
	overlap(s->win.x0 + s->place.dx, s->win.x1 + s->place.dx, below->width, &need->x0,
		&need->x1);
	overlap(s->win.y0 + s->place.dy, s->win.y1 + s->place.dy, below->height, &need->y0,
		&need->y1);
	return 0;
}

static void fill_row(const struct stage *s, uint8_t *to, uint32_t n)
{
	unsigned pixel = image_pixel(s->mode);

	if (pixel == 1) {
		memset(to, s->place.fill[0], n);
		return;
	}
	for (uint32_t x = 0; x < n; x++)
		memcpy(to + x * pixel, s->place.fill, pixel);
}

static int place_row(struct run *r, unsigned i, int64_t y, uint8_t *to, struct image_error *e)
{
	const struct stage *s = &r->stages[i], *below = s - 1;
	int64_t x0 = s->win.x0 + s->place.dx, x1 = s->win.x1 + s->place.dx;
	int64_t from = MAX(x0, 0), end = MIN(x1, (int64_t)below->width);
	unsigned pixel = image_pixel(s->mode);
	struct rows row;
	int rc;

	if (y < 0 || y >= below->height || from >= end) {
		fill_row(s, to, window_width(s));
		return 0;
	}
	rc = stage_take(r, i - 1, r->at[i].memory, 1, &row, e);
	if (rc)
		return rc;
	fill_row(s, to, (uint32_t)(from - x0));
	memcpy(to + (from - x0) * pixel, row.at + (from - below->win.x0) * pixel,
	       (size_t)(end - from) * pixel);
	fill_row(s, to + (end - x0) * pixel, (uint32_t)(x1 - end));
	return 0;
}

/* Then there is nothing to do. */
static bool is_window_below(const struct stage *s)
{
	const struct window *below = &s[-1].win;

	return s->win.x0 + s->place.dx == below->x0 && s->win.x1 + s->place.dx == below->x1 &&
	       s->win.y0 + s->place.dy == below->y0 && s->win.y1 + s->place.dy == below->y1;
}

static int place_rows(struct run *r, unsigned i, uint8_t *to, size_t stride, uint32_t n,
		      struct image_error *e)
{
	const struct stage *s = &r->stages[i];
	int64_t y = (int64_t)s->win.y0 + r->at[i].row + s->place.dy;
	int rc = 0;

	if (is_window_below(s))
		return stage_rows(r, i - 1, to, stride, n, e);
	for (uint32_t j = 0; !rc && j < n; j++)
		rc = place_row(r, i, y + j, to + j * stride, e);
	return rc;
}

static int place_borrow(struct run *r, unsigned i, uint32_t n, struct rows *ret,
			struct image_error *e)
{
	const struct stage *s = &r->stages[i], *below = s - 1;
	int64_t x = s->win.x0 + s->place.dx, y = s->win.y0 + s->place.dy;
	int rc;

	if (x < below->win.x0 || x + window_width(s) > below->win.x1 || y != below->win.y0 ||
	    window_height(s) != window_height(below))
		return 0;
	rc = stage_borrow(r, i - 1, n, ret, e);
	if (!rc && ret->at)
		ret->at += (x - below->win.x0) * image_pixel(s->mode);
	return rc;
}

/* ---- left is right ---- */

static int flip_settle(struct stage *s, const struct stage *below _unused_, struct window *need,
		       struct image_error *e _unused_)
{
	*need = (struct window){ s->width - s->win.x1, s->win.y0, s->width - s->win.x0, s->win.y1 };
	return 0;
}

static int flip_rows(struct run *r, unsigned i, uint8_t *to, size_t stride, uint32_t n,
		     struct image_error *e)
{
	const struct stage *s = &r->stages[i], *below = s - 1;
	unsigned pixel = image_pixel(s->mode);
	size_t skip = (size_t)(s->width - s->win.x1 - below->win.x0) * pixel;
	struct rows row;
	int rc = 0;

	for (uint32_t j = 0; !rc && j < n; j++) {
		rc = stage_take(r, i - 1, r->at[i].memory, 1, &row, e);
		if (!rc)
			reverse_pixels(to + j * stride, row.at + skip, window_width(s), pixel);
	}
	return rc;
}

/* ---- alpha in the colours, and out of them ---- */

static void premultiply(uint8_t *p, uint32_t n)
{
	for (; n; n--, p += 4)
		for (unsigned c = 0; c < 3; c++) {
			unsigned product = p[c] * p[3] + 128u;

			p[c] = (uint8_t)((product + (product >> 8)) >> 8);
		}
}

static void unpremultiply(uint8_t *p, uint32_t n)
{
	for (; n; n--, p += 4)
		for (unsigned c = 0; c < 3 && p[3] && p[3] != 255; c++)
			p[c] = (uint8_t)MIN(p[c] * 255u / p[3], 255u);
}

/* Where the row below is wider than the window, what is wanted of it is moved to its begin. */
static int rows_of_window(struct run *r, unsigned i, uint8_t *to, size_t stride, uint32_t n,
			  struct image_error *e)
{
	const struct stage *s = &r->stages[i], *below = s - 1;
	unsigned pixel = image_pixel(s->mode);
	size_t skip = (size_t)(s->win.x0 - below->win.x0) * pixel;
	int rc = 0;

	if (window_width(s) == window_width(below))
		return stage_rows(r, i - 1, to, stride, n, e);
	for (uint32_t j = 0; !rc && j < n; j++) {
		rc = stage_rows(r, i - 1, r->at[i].memory, stage_stride(below), 1, e);
		if (!rc)
			memcpy(to + j * stride, r->at[i].memory + skip,
			       (size_t)window_width(s) * pixel);
	}
	return rc;
}

static int premultiply_rows(struct run *r, unsigned i, uint8_t *to, size_t stride, uint32_t n,
			    struct image_error *e)
{
	int rc = rows_of_window(r, i, to, stride, n, e);

	for (uint32_t j = 0; !rc && j < n; j++)
		premultiply(to + j * stride, window_width(&r->stages[i]));
	return rc;
}

static int unpremultiply_rows(struct run *r, unsigned i, uint8_t *to, size_t stride, uint32_t n,
			      struct image_error *e)
{
	int rc = rows_of_window(r, i, to, stride, n, e);

	for (uint32_t j = 0; !rc && j < n; j++)
		unpremultiply(to + j * stride, window_width(&r->stages[i]));
	return rc;
}

/* ---- other modes ---- */

const struct image_palette *stage_palette(struct run *r, unsigned i)
{
	const struct image_palette *palette = image_reader_palette(r->from);

	while (i && r->stages[i].mode == r->stages[i - 1].mode)
		i--;
	if (!i || !palette)
		return palette;
	if (!palette->alpha && !palette->keyed && !palette->n_told)
		return NULL;
	r->palette = *palette;
	for (unsigned j = 1; j <= i; j++)
		if (r->stages[j].mode != r->stages[j - 1].mode)
			image_palette_convert(&r->palette, r->stages[j - 1].mode,
					      r->stages[j].mode);
	return &r->palette;
}

static int convert_rows(struct run *r, unsigned i, uint8_t *to, size_t stride, uint32_t n,
			struct image_error *e)
{
	const struct stage *s = &r->stages[i], *below = s - 1;
	size_t skip = (size_t)(s->win.x0 - below->win.x0) * image_pixel(below->mode);
	struct rows row;
	int rc = 0;

	for (uint32_t j = 0; !rc && j < n; j++) {
		rc = stage_take(r, i - 1, r->at[i].memory, 1, &row, e);
		if (!rc)
			s->convert(to + j * stride, row.at + skip, window_width(s),
				   stage_palette(r, i - 1));
	}
	return rc;
}

const struct stage_ops stage_source = {
	.memory = no_memory,
	.rows = source_rows,
	.borrow = source_borrow,
};

const struct stage_ops stage_place = {
	.settle = place_settle,
	.memory = one_row,
	.rows = place_rows,
	.borrow = place_borrow,
};

const struct stage_ops stage_flip_x = {
	.settle = flip_settle,
	.memory = one_row,
	.rows = flip_rows,
};

const struct stage_ops stage_premultiply = {
	.settle = settle_same,
	.memory = one_row,
	.rows = premultiply_rows,
};

const struct stage_ops stage_unpremultiply = {
	.settle = settle_same,
	.memory = one_row,
	.rows = unpremultiply_rows,
};

const struct stage_ops stage_convert = {
	.settle = settle_same,
	.memory = one_row,
	.rows = convert_rows,
};
