/* SPDX-License-Identifier: Apache-2.0 */
/* From steps to stages: sizes and modes, as Pillow and torchvision have them. */
#include <math.h>
#include <string.h>

#include "base/util.h"
#include "image/plan.h"

static struct stage *top(struct image_plan *p)
{
	return &p->stages[p->n - 1];
}

static struct stage *add(struct image_plan *p, const struct stage_ops *ops, uint32_t width,
			 uint32_t height)
{
	struct stage *s = top(p) + 1;

	assert(p->n < STAGES_MAX);
	*s = (struct stage){ .ops = ops, .mode = top(p)->mode, .width = width, .height = height };
	p->n++;
	return s;
}

/* ---- turning ---- */

static int turn(struct image_plan *p, uint8_t orientation)
{
	bool turned = orientation >= 5;
	uint32_t width = turned ? top(p)->height : top(p)->width;
	uint32_t height = turned ? top(p)->width : top(p)->height;

	if (orientation == 2)
		add(p, &stage_flip_x, width, height);
	else if (orientation > 2)
		add(p, &stage_turn, width, height)->orientation = orientation;
	return 0;
}

/* The picture before it was turned: whoever takes it turns it later. */
static uint8_t take_turn(struct image_plan *p)
{
	if (top(p)->ops != &stage_turn)
		return 1;
	return p->stages[--p->n].orientation;
}

/* ---- modes ---- */

static int convert(struct image_plan *p, const struct image_step *step, struct image_error *e)
{
	enum image_mode from = top(p)->mode;
	image_convert_fn *fn = image_convert(from, step->mode);
	uint8_t orientation;
	struct stage *s;

	if (from == step->mode)
		return 0;
	if (!fn)
		return image_fail(e, IMAGE_BAD, "a picture of mode %s cannot be converted to %s%s",
				  image_mode_name(from), image_mode_name(step->mode),
				  from == IMAGE_LAB ? " here: convert it before other steps" : "");
	orientation = take_turn(p);
	s = add(p, &stage_convert, top(p)->width, top(p)->height);
	s->mode = step->mode;
	s->convert = fn;
	return turn(p, orientation);
}

/* ---- sizes ---- */

static void add_pass(struct image_plan *p, bool across, bool mirrored, uint32_t result,
		     enum image_filter filter)
{
	uint32_t size = across ? top(p)->width : top(p)->height;
	/* Of the last pixel of a picture that was made smaller there may be a part only. */
	double full = p->scaling ? (double)(across ? p->info.width : p->info.height) / p->by : size;
	struct image_axis axis = { .size = size,
				   .from = mirrored ? (float)(size - full) : 0,
				   .to = mirrored ? (float)size : (float)full,
				   .result = result,
				   .mirrored = mirrored };
	struct stage *s;

	if (image_axis_same(&axis))
		return;
	s = add(p, across ? &stage_across : &stage_down, across ? result : top(p)->width,
		across ? top(p)->height : result);
	s->pass.axis = axis;
	s->pass.filter = filter;
}

/* Of a picture that `orientation` turns, to what is width × height then: it is turned later, when
 * it is small, so its width and height are those that will be. Pillow 13 begins with the height
 * where much more of it is lost than of the width; as each pass rounds, the order is seen in the
 * result. */
static void add_passes(struct image_plan *p, uint32_t width, uint32_t height,
		       enum image_filter filter, uint8_t orientation)
{
	bool turns = orientation_turns(orientation);
	bool right = orientation_from_right(orientation);
	bool bottom = orientation_from_bottom(orientation);
	int64_t narrower = (int64_t)(turns ? top(p)->height : top(p)->width) - width;
	int64_t lower = (int64_t)(turns ? top(p)->width : top(p)->height) - height;
	bool height_first = lower > 0 && lower > 2 * narrower;

	if (height_first)
		add_pass(p, turns, turns ? right : bottom, height, filter);
	add_pass(p, !turns, turns ? bottom : right, width, filter);
	if (!height_first)
		add_pass(p, turns, turns ? right : bottom, height, filter);
}

/* Nothing has been done yet that a smaller picture could not be given to. */
static bool may_scale(const struct image_plan *p, enum image_filter filter)
{
	if (!p->chain->scaled || p->info.format != IMAGE_JPEG || filter == IMAGE_NEAREST)
		return false;
	for (unsigned i = 1; i < p->n; i++)
		if (p->stages[i].ops != &stage_convert)
			return false;
	return p->by == 1;
}

/* Lets the reader make a picture that is still at least twice as large as what is wanted of it:
 * with less, edges are seen to be another filter's. Pillow's thumbnail() does the same. */
static void scale(struct image_plan *p, uint32_t width, uint32_t height)
{
	uint32_t by = 8;

	while (by > 1 && (p->info.width / by < 2 * width || p->info.height / by < 2 * height))
		by /= 2;
	p->by = by;
	for (unsigned i = 0; i < p->n; i++) {
		p->stages[i].width = (p->info.width + by - 1) / by;
		p->stages[i].height = (p->info.height + by - 1) / by;
	}
}

static int resize_to(struct image_plan *p, uint32_t width, uint32_t height,
		     enum image_filter filter)
{
	enum image_mode mode = top(p)->mode;
	bool alpha = mode == IMAGE_LA || mode == IMAGE_RGBA;
	uint8_t orientation;

	if (width == top(p)->width && height == top(p)->height)
		return 0;
	if (filter == IMAGE_NEAREST || mode == IMAGE_P || mode == IMAGE_1) {
		add(p, &stage_nearest, width, height);
		return 0;
	}
	/* Doubles are added in one order only. */
	orientation = mode == IMAGE_I16 || mode == IMAGE_F ? 1 : take_turn(p);
	if (may_scale(p, filter)) {
		bool turns = orientation_turns(orientation);

		scale(p, turns ? height : width, turns ? width : height);
		p->scaling = p->by > 1;
	}
	if (alpha)
		add(p, &stage_premultiply, top(p)->width, top(p)->height);
	add_passes(p, width, height, filter, orientation);
	if (alpha)
		add(p, &stage_unpremultiply, top(p)->width, top(p)->height);
	p->scaling = false;
	return turn(p, orientation);
}

static int resize(struct image_plan *p, const struct image_step *step,
		  struct image_error *e _unused_)
{
	return resize_to(p, step->resize.width, step->resize.height, step->resize.filter);
}

/* Of Python's whole numbers, whose quotient is a double. */
static double scaled(uint32_t size, double by, double divisor)
{
	return trunc(size * by / divisor);
}

static int resize_short(struct image_plan *p, const struct image_step *step, struct image_error *e)
{
	uint32_t width = top(p)->width, height = top(p)->height, most = step->resize.width;
	double shorter = step->resize.height, longer;

	longer = scaled(step->resize.height, MAX(width, height), MIN(width, height));
	if (most && longer > most) {
		shorter = scaled(most, shorter, longer);
		longer = most;
	}
	if (shorter < 1)
		return image_fail(
			e, IMAGE_BAD,
			"a picture of %u × %u would have no width when its longer side is "
			"%u",
			width, height, most);
	if (longer > INT32_MAX)
		return image_fail(e, IMAGE_TOO_LARGE,
				  "a picture of %u × %u is too long to be resized to %u", width,
				  height, step->resize.height);
	return width <= height
		       ? resize_to(p, (uint32_t)shorter, (uint32_t)longer, step->resize.filter)
		       : resize_to(p, (uint32_t)longer, (uint32_t)shorter, step->resize.filter);
}

/* ---- places ---- */

static void place(struct image_plan *p, int64_t dx, int64_t dy, uint32_t width, uint32_t height)
{
	struct stage *s;

	if (!dx && !dy && width == top(p)->width && height == top(p)->height)
		return;
	s = add(p, &stage_place, width, height);
	s->place.dx = dx;
	s->place.dy = dy;
	if (s->mode == IMAGE_RGB || s->mode == IMAGE_LAB)
		s->place.fill[3] = 255;
}

static int crop(struct image_plan *p, const struct image_step *step, struct image_error *e _unused_)
{
	place(p, step->box.x, step->box.y, (uint32_t)step->box.width, (uint32_t)step->box.height);
	return 0;
}

/* Where `part` begins in `whole`: a half goes to the even side, and outside it is padded. */
static int64_t middle(uint32_t whole, uint32_t part)
{
	if (part > whole)
		return -(int64_t)((part - whole) / 2);
	return (int64_t)nearbyint((whole - part) / 2.0);
}

static int center_crop(struct image_plan *p, const struct image_step *step,
		       struct image_error *e _unused_)
{
	uint32_t width = (uint32_t)step->box.width, height = (uint32_t)step->box.height;

	place(p, middle(top(p)->width, width), middle(top(p)->height, height), width, height);
	return 0;
}

static void set_fill(struct stage *s, const uint8_t fill[4])
{
	for (unsigned c = 0; c < 4; c++)
		s->place.fill[c] = fill[c];
	if (s->mode == IMAGE_1)
		s->place.fill[0] = fill[0] ? 255 : 0;
	else if (s->mode == IMAGE_I16)
		s->place.fill[1] = 0;
	else if (s->mode == IMAGE_RGB || s->mode == IMAGE_LAB)
		s->place.fill[3] = 255;
	else if (s->mode == IMAGE_F)
		memcpy(s->place.fill, &(float){ fill[0] }, sizeof(float));
	else if (s->mode == IMAGE_LA)
		for (unsigned c = 1; c < 4; c++)
			s->place.fill[c] = fill[c == 3];
}

static int pad(struct image_plan *p, const struct image_step *step, struct image_error *e)
{
	uint64_t width = (uint64_t)top(p)->width + (uint32_t)step->box.x +
			 (uint32_t)step->box.width;
	uint64_t height = (uint64_t)top(p)->height + (uint32_t)step->box.y +
			  (uint32_t)step->box.height;
	unsigned n = p->n;

	if (width > INT32_MAX || height > INT32_MAX)
		return image_fail(e, IMAGE_TOO_LARGE, "the padded picture is too large");
	place(p, -(int64_t)step->box.x, -(int64_t)step->box.y, (uint32_t)width, (uint32_t)height);
	if (p->n > n)
		set_fill(top(p), step->box.fill);
	return 0;
}

static int orient(struct image_plan *p, const struct image_step *step _unused_,
		  struct image_error *e _unused_)
{
	uint8_t orientation = p->info.orientation;

	p->info.orientation = 1;
	return turn(p, orientation);
}

static int flip_x(struct image_plan *p, const struct image_step *step _unused_,
		  struct image_error *e _unused_)
{
	return turn(p, 2);
}

static int flip_y(struct image_plan *p, const struct image_step *step _unused_,
		  struct image_error *e _unused_)
{
	return turn(p, 4);
}

/* ---- the tensor ---- */

static int to_tensor(struct image_plan *p, const struct image_step *step _unused_,
		     struct image_error *e)
{
	if (top(p)->mode == IMAGE_I16)
		return image_fail(e, IMAGE_BAD,
				  "a picture of 16 bits a channel (mode I;16) has no values from 0 "
				  "to 1: convert it to L first");
	tensor_init(&p->tensor, top(p)->mode);
	p->result.tensor = true;
	return 0;
}

static int to_bytes(struct image_plan *p, const struct image_step *step, struct image_error *e)
{
	int rc = to_tensor(p, step, e);

	if (!rc && top(p)->mode == IMAGE_F)
		return image_fail(
			e, IMAGE_BAD,
			"a picture of floats (mode F) has no bytes: convert it to L first");
	p->tensor.element = IMAGE_U8;
	return rc;
}

static int normalize(struct image_plan *p, const struct image_step *step, struct image_error *e)
{
	unsigned n = step->normalize.n, bands = p->tensor.bands;
	float mean[4], std[4];

	if (n != 1 && n != bands)
		return image_fail(e, IMAGE_BAD,
				  "%u means and deviations do not fit a picture of %u channel%s "
				  "(mode %s): convert it first",
				  n, bands, bands == 1 ? "" : "s", image_mode_name(top(p)->mode));
	if (top(p)->mode == IMAGE_F && !p->tensor.scale.plain)
		return image_fail(e, IMAGE_BAD,
				  "a picture of floats (mode F) can be normalized only once");
	for (unsigned b = 0; b < 4; b++) {
		mean[b] = step->normalize.mean[n == 1 ? 0 : b];
		std[b] = step->normalize.std[n == 1 ? 0 : b];
	}
	tensor_normalize(&p->tensor, mean, std);
	return 0;
}

static int to_half(struct image_plan *p, const struct image_step *step _unused_,
		   struct image_error *e _unused_)
{
	tensor_to_halves(&p->tensor);
	return 0;
}

static int to_hwc(struct image_plan *p, const struct image_step *step _unused_,
		  struct image_error *e _unused_)
{
	p->tensor.last = true;
	return 0;
}

static int (*const steps[IMAGE_OPS])(struct image_plan *p, const struct image_step *step,
				     struct image_error *e) = {
	[IMAGE_CONVERT] = convert,   [IMAGE_ORIENT] = orient,
	[IMAGE_RESIZE] = resize,     [IMAGE_RESIZE_SHORT] = resize_short,
	[IMAGE_CROP] = crop,         [IMAGE_CENTER_CROP] = center_crop,
	[IMAGE_PAD] = pad,           [IMAGE_FLIP_X] = flip_x,
	[IMAGE_FLIP_Y] = flip_y,     [IMAGE_TO_TENSOR] = to_tensor,
	[IMAGE_TO_BYTES] = to_bytes, [IMAGE_NORMALIZE] = normalize,
	[IMAGE_TO_HALF] = to_half,   [IMAGE_TO_HWC] = to_hwc,
};

int plan_step(struct image_plan *p, const struct image_step *step, struct image_error *e)
{
	return steps[step->op](p, step, e);
}
