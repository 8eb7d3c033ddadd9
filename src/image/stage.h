/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A plan is a stack of stages. Each makes rows of its picture from the top down when the one above
 * asks for them, from rows that it asks the one below for; the lowest is the reader. No stage makes
 * more than its window, which is what those above need, so a crop at the end spares work from the
 * beginning.
 *
 * Stages are not changed by running. What a run needs of memory is known from the plan, and taken
 * at once.
 */

#include "image/chain.h"
#include "image/convert.h"
#include "image/weights.h"

#define STAGES_MAX 130 /* the reader, and at most 4 for each of a chain's 32 steps */

/* Pixels x0 … x1 - 1 of rows y0 … y1 - 1; never empty. */
struct window {
	uint32_t x0, y0, x1, y1;
};

/* Rows to read, nothing behind their last pixels. */
struct rows {
	const uint8_t *at;
	size_t stride;
};

struct run;
struct stage;

struct stage_ops {
	/* s->win is known: makes what can be made once, and says what is needed of the stage
	 * below. That one may make more in a row than was asked for. */
	int (*settle)(struct stage *s, const struct stage *below, struct window *need,
		      struct image_error *e);
	/* The window of the stage below is known; NULL: does not matter. */
	void (*place)(struct stage *s, const struct stage *below);
	/* Bytes for a run. */
	size_t (*memory)(const struct stage *s, const struct stage *below);
	/* The next n rows of its window; as image_reader_rows(), and bytes up to the next multiple
	 * of IMAGE_ALIGN may be written, too. */
	int (*rows)(struct run *r, unsigned i, uint8_t *to, size_t stride, uint32_t n,
		    struct image_error *e);
	/* The same, where they are in memory already; `at` NULL: they are to be made. NULL: always.
	 */
	int (*borrow)(struct run *r, unsigned i, uint32_t n, struct rows *ret,
		      struct image_error *e);
	void (*finish)(struct stage *s); /* NULL: nothing to free */
};

struct stage {
	const struct stage_ops *ops;
	enum image_mode mode;
	uint32_t width, height; /* of the whole picture */
	struct window win;
	union {
		struct { /* pixel (x, y) is (x + dx, y + dy) of the one below */
			int64_t dx, dy;
			uint8_t fill[4];
		} place;
		struct {
			enum image_filter filter;
			struct image_axis axis;
			struct image_weights weights;
		} pass;
		struct {
			uint32_t *x, *y; /* of the window; a pixel below, or UINT32_MAX */
		} nearest;
		uint8_t orientation;
		image_convert_fn *convert;
	};
};

/* A stage of a run. */
struct at {
	uint8_t *memory;
	uint32_t row;     /* of its window: those made */
	uint32_t have;    /* of the window below: those taken */
	struct rows last; /* of these, where it keeps some */
};

struct run {
	const struct stage *stages; /* the reader's first */
	struct image_reader *from;
	struct image_palette palette; /* see stage_palette() */
	struct at at[STAGES_MAX];
};

static inline uint32_t window_width(const struct stage *s)
{
	return s->win.x1 - s->win.x0;
}

static inline uint32_t window_height(const struct stage *s)
{
	return s->win.y1 - s->win.y0;
}

/* Bytes from a row of its window to the next, in memory of runs. */
static inline size_t stage_stride(const struct stage *s)
{
	size_t bytes = (size_t)window_width(s) * image_pixel(s->mode);

	return (bytes + IMAGE_ALIGN - 1) / IMAGE_ALIGN * IMAGE_ALIGN;
}

/* Rows, and room to read behind the last one. */
static inline size_t stage_rows_memory(const struct stage *s, size_t rows)
{
	return rows * stage_stride(s) + IMAGE_ALIGN;
}

int stage_rows(struct run *r, unsigned i, uint8_t *to, size_t stride, uint32_t n,
	       struct image_error *e);

/* Likewise, but they need not be copied: `memory`, of n rows, is for those that are in none yet.
 * They are there as long as that is not used for others. */
int stage_take(struct run *r, unsigned i, uint8_t *memory, uint32_t n, struct rows *ret,
	       struct image_error *e);
/* n rows that nobody wants; `memory` is for one. */
int stage_skip(struct run *r, unsigned i, uint8_t *memory, uint32_t n, struct image_error *e);

/* What is known of the colours after stage i, once the first row was read; until it is asked for
 * again. NULL: nothing. */
const struct image_palette *stage_palette(struct run *r, unsigned i);

/* What is at (x, y) comes from (x, y), or (y, x) where it is turned, of the picture below, whose
 * columns are counted from the right and rows from the bottom where these say so. */
bool orientation_turns(uint8_t orientation);
bool orientation_from_right(uint8_t orientation);
bool orientation_from_bottom(uint8_t orientation);

extern const struct stage_ops stage_source, stage_place, stage_flip_x, stage_turn, stage_nearest,
	stage_across, stage_down, stage_premultiply, stage_unpremultiply, stage_convert;
