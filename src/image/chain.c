/* SPDX-License-Identifier: Apache-2.0 */
/* Which steps there can be, and in which order. */
#include "image/chain.h"

#include <math.h>

#include "base/util.h"

#define STEPS_MAX 32
#define SIDE_MAX (1 << 24) /* floats have no whole numbers beyond without gaps */

static const char *const names[IMAGE_OPS] = {
	[IMAGE_CONVERT] = "convert",
	[IMAGE_ORIENT] = "orient",
	[IMAGE_RESIZE] = "resize",
	[IMAGE_RESIZE_SHORT] = "resize the shorter side",
	[IMAGE_CROP] = "crop",
	[IMAGE_CENTER_CROP] = "crop the middle",
	[IMAGE_PAD] = "pad",
	[IMAGE_FLIP_X] = "flip left and right",
	[IMAGE_FLIP_Y] = "flip up and down",
	[IMAGE_TO_TENSOR] = "to a tensor",
	[IMAGE_TO_BYTES] = "to bytes",
	[IMAGE_NORMALIZE] = "normalize",
	[IMAGE_TO_HALF] = "to halves",
	[IMAGE_TO_HWC] = "channels last",
};

/* What has been so far. */
struct state {
	bool tensor, floats, last;
};

static bool size_fits(uint32_t n)
{
	return n && n <= SIDE_MAX;
}

static const char *check_resize(const struct image_step *s, bool shorter)
{
	if (s->resize.filter >= IMAGE_FILTERS)
		return "there is no such filter";
	if (!size_fits(s->resize.height) || (!shorter && !size_fits(s->resize.width)))
		return "sizes are from 1 to 16777216";
	if (shorter && s->resize.width && s->resize.width <= s->resize.height)
		return "the longer side's limit must be larger than the shorter side";
	return NULL;
}

static const char *check_box(const struct image_step *s, bool pad)
{
	int32_t least = pad ? 0 : -SIDE_MAX;

	if (s->box.x < least || s->box.x > SIDE_MAX || s->box.y < least || s->box.y > SIDE_MAX)
		return pad ? "a side gets from 0 to 16777216 pixels"
			   : "places are from -16777216 to 16777216";
	if (pad && s->box.width >= 0 && s->box.width <= SIDE_MAX && s->box.height >= 0 &&
	    s->box.height <= SIDE_MAX)
		return NULL;
	if (pad)
		return "a side gets from 0 to 16777216 pixels";
	if (s->box.width < 0 || s->box.height < 0 || !size_fits((uint32_t)s->box.width) ||
	    !size_fits((uint32_t)s->box.height))
		return "sizes are from 1 to 16777216";
	return NULL;
}

static const char *check_normalize(const struct image_step *s, const struct state *now)
{
	if (!now->floats || now->last)
		return "it works on floats whose channels come first";
	if (s->normalize.n < 1 || s->normalize.n > 4)
		return "there are from 1 to 4 means and deviations";
	for (unsigned i = 0; i < s->normalize.n; i++)
		if (!isfinite(s->normalize.mean[i]) || !isfinite(s->normalize.std[i]) ||
		    s->normalize.std[i] == 0)
			return "means are numbers, and deviations are numbers other than 0";
	return NULL;
}

/* After the pixels; changes what is so far. */
static const char *check_tensor(const struct image_step *s, struct state *now)
{
	if (!now->tensor)
		return "it works on a tensor, and there is an image yet";
	if (s->op == IMAGE_NORMALIZE)
		return check_normalize(s, now);
	if (s->op == IMAGE_TO_HALF && !now->floats)
		return "it works on floats";
	if (s->op == IMAGE_TO_HWC && now->last)
		return "the channels are last already";
	now->last |= s->op == IMAGE_TO_HWC;
	now->floats &= s->op != IMAGE_TO_HALF;
	return NULL;
}

static const char *check_step(const struct image_step *s, struct state *now)
{
	if (s->op >= IMAGE_NORMALIZE)
		return check_tensor(s, now);
	if (now->tensor)
		return "it works on an image, and there is a tensor already";
	switch (s->op) {
	case IMAGE_CONVERT:
		return s->mode < IMAGE_MODES ? NULL : "there is no such mode";
	case IMAGE_RESIZE:
	case IMAGE_RESIZE_SHORT:
		return check_resize(s, s->op == IMAGE_RESIZE_SHORT);
	case IMAGE_CROP:
	case IMAGE_CENTER_CROP:
	case IMAGE_PAD:
		return check_box(s, s->op == IMAGE_PAD);
	case IMAGE_TO_TENSOR:
	case IMAGE_TO_BYTES:
		now->tensor = true;
		now->floats = s->op == IMAGE_TO_TENSOR;
		return NULL;
	default:
		return NULL;
	}
}

int image_chain_check(const struct image_chain *c, struct image_error *e)
{
	struct state now = { 0 };

	if (c->n > STEPS_MAX)
		return image_fail(e, IMAGE_BAD, "a chain has at most %d steps, this one has %zu",
				  STEPS_MAX, c->n);
	for (size_t i = 0; i < c->n; i++) {
		const struct image_step *s = &c->steps[i];
		const char *wrong;

		if (s->op >= IMAGE_OPS)
			return image_fail(e, IMAGE_BAD, "step %zu: there is no such step", i + 1);
		wrong = check_step(s, &now);
		if (wrong)
			return image_fail(e, IMAGE_BAD, "step %zu (%s): %s", i + 1, names[s->op],
					  wrong);
	}
	return 0;
}
