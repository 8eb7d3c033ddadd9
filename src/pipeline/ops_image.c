/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/ops.h"

/* Steps on pictures. They are names for what image/ does: a run of them is one chain. */

#define AT(field) offsetof(struct params, field)
#define IMAGE KIND_BIT(KIND_IMAGE)
#define SIDE_MAX 65535.0

/* Of pictures: channels, height and width. */
static int like(const struct type *in, struct type *out)
{
	out->ndim = 3;
	for (unsigned i = 0; i < 3; i++)
		out->shape[i] = in->ndim == 3 ? in->shape[i] : SCONCE_DIM_ANY;
	return 0;
}

static int sized(const struct type *in, struct type *out, int64_t height, int64_t width)
{
	like(in, out);
	out->shape[1] = height;
	out->shape[2] = width;
	return 0;
}

static int same_check(const struct step *s, const struct type *in, struct type *out,
		      struct sconce_error *e)
{
	(void)s;
	(void)e;
	return like(in, out);
}

/* Every one is a part of a chain, if of its own; so this never is. */
#define CHAINED .run = chain_run

static const struct param convert_params[] = {
	{ "mode", PARAM_MODE, AT(mode), "L, RGB, RGBA, … as Pillow names them", .required = true },
};

static int convert_check(const struct step *s, const struct type *in, struct type *out,
			 struct sconce_error *e)
{
	(void)e;
	like(in, out);
	out->shape[0] = image_bands(s->params.mode);
	return 0;
}

static bool convert_image(const struct step *s, struct image_step *ret)
{
	ret->op = IMAGE_CONVERT;
	ret->mode = s->params.mode;
	return true;
}

const struct op op_convert = {
	.name = "convert",
	.help = "the picture in another mode",
	.takes = IMAGE,
	.gives = KIND_IMAGE,
	.params = convert_params,
	.n_params = ARRAY_LEN(convert_params),
	.check = convert_check,
	.image = convert_image,
	CHAINED,
};

static int orient_check(const struct step *s, const struct type *in, struct type *out,
			struct sconce_error *e)
{
	(void)s;
	(void)e;
	return sized(in, out, SCONCE_DIM_ANY, SCONCE_DIM_ANY);
}

static bool orient_image(const struct step *s, struct image_step *ret)
{
	(void)s;
	ret->op = IMAGE_ORIENT;
	return true;
}

const struct op op_orient = {
	.name = "orient",
	.help = "turned as the camera was held, from EXIF",
	.takes = IMAGE,
	.gives = KIND_IMAGE,
	.check = orient_check,
	.image = orient_image,
	CHAINED,
};

static const struct param resize_params[] = {
	{ "size", PARAM_INTEGER, AT(size), "of the shorter side; the other is in proportion",
	  .max = SIDE_MAX },
	{ "max", PARAM_INTEGER, AT(max), "of the longer side, with size", .max = SIDE_MAX },
	{ "width", PARAM_INTEGER, AT(width), "with height: exactly these", .max = SIDE_MAX },
	{ "height", PARAM_INTEGER, AT(height), "with width: exactly these", .max = SIDE_MAX },
	{ "filter", PARAM_FILTER, AT(filter),
	  "bilinear, nearest, bicubic, lanczos, box or hamming" },
};

static int resize_check(const struct step *s, const struct type *in, struct type *out,
			struct sconce_error *e)
{
	const struct params *p = &s->params;
	bool both = p->width && p->height, one = p->size;

	if (both == one || !p->width != !p->height)
		return step_fail(e, s, -1, "it needs size, or width and height");
	if (p->max && p->max < p->size)
		return step_fail(e, s, -1, "max must not be less than size");
	return sized(in, out, both ? p->height : SCONCE_DIM_ANY, both ? p->width : SCONCE_DIM_ANY);
}

static bool resize_image(const struct step *s, struct image_step *ret)
{
	const struct params *p = &s->params;

	ret->op = p->size ? IMAGE_RESIZE_SHORT : IMAGE_RESIZE;
	ret->resize.height = (uint32_t)(p->size ? p->size : p->height);
	ret->resize.width = (uint32_t)(p->size ? p->max : p->width);
	ret->resize.filter = p->filter;
	return true;
}

const struct op op_resize = {
	.name = "resize",
	.help = "smaller or larger, as Pillow and torchvision do it, to the last bit",
	.takes = IMAGE,
	.gives = KIND_IMAGE,
	.params = resize_params,
	.n_params = ARRAY_LEN(resize_params),
	.check = resize_check,
	.image = resize_image,
	CHAINED,
};

static const struct param crop_params[] = {
	{ "width", PARAM_INTEGER, AT(width), "of what remains", .min = 1, .max = SIDE_MAX,
	  .required = true },
	{ "height", PARAM_INTEGER, AT(height), "of what remains", .min = 1, .max = SIDE_MAX,
	  .required = true },
	{ "x", PARAM_INTEGER, AT(x), "of its left side", .min = -SIDE_MAX, .max = SIDE_MAX },
	{ "y", PARAM_INTEGER, AT(y), "of its upper side", .min = -SIDE_MAX, .max = SIDE_MAX },
};

static int crop_check(const struct step *s, const struct type *in, struct type *out,
		      struct sconce_error *e)
{
	(void)e;
	return sized(in, out, s->params.height, s->params.width);
}

static bool crop_image(const struct step *s, struct image_step *ret)
{
	ret->op = IMAGE_CROP;
	ret->box.x = (int32_t)s->params.x;
	ret->box.y = (int32_t)s->params.y;
	ret->box.width = (int32_t)s->params.width;
	ret->box.height = (int32_t)s->params.height;
	return true;
}

const struct op op_crop = {
	.name = "crop",
	.help = "a rectangle of the picture; outside it are zeros",
	.takes = IMAGE,
	.gives = KIND_IMAGE,
	.params = crop_params,
	.n_params = ARRAY_LEN(crop_params),
	.check = crop_check,
	.image = crop_image,
	CHAINED,
};

static const struct param center_params[] = {
	{ "size", PARAM_INTEGER, AT(size), "of both sides", .max = SIDE_MAX },
	{ "width", PARAM_INTEGER, AT(width), "instead of size, with height", .max = SIDE_MAX },
	{ "height", PARAM_INTEGER, AT(height), "instead of size, with width", .max = SIDE_MAX },
};

static int center_check(const struct step *s, const struct type *in, struct type *out,
			struct sconce_error *e)
{
	const struct params *p = &s->params;

	if (!p->size == !(p->width && p->height))
		return step_fail(e, s, -1, "it needs size, or width and height");
	return sized(in, out, p->size ? p->size : p->height, p->size ? p->size : p->width);
}

static bool center_image(const struct step *s, struct image_step *ret)
{
	const struct params *p = &s->params;

	ret->op = IMAGE_CENTER_CROP;
	ret->box.width = (int32_t)(p->size ? p->size : p->width);
	ret->box.height = (int32_t)(p->size ? p->size : p->height);
	return true;
}

const struct op op_center_crop = {
	.name = "center_crop",
	.help = "the middle of the picture; zeros around one that is smaller",
	.takes = IMAGE,
	.gives = KIND_IMAGE,
	.params = center_params,
	.n_params = ARRAY_LEN(center_params),
	.check = center_check,
	.image = center_image,
	CHAINED,
};

static const struct param pad_params[] = {
	{ "size", PARAM_INTEGER, AT(size), "on all four sides", .max = SIDE_MAX },
	{ "left", PARAM_INTEGER, AT(left), "instead of size", .max = SIDE_MAX },
	{ "top", PARAM_INTEGER, AT(top), "instead of size", .max = SIDE_MAX },
	{ "right", PARAM_INTEGER, AT(right), "instead of size", .max = SIDE_MAX },
	{ "bottom", PARAM_INTEGER, AT(bottom), "instead of size", .max = SIDE_MAX },
	{ "fill", PARAM_INTEGERS, AT(fill), "a value from 0 to 255, or one for each channel",
	  .max = 255 },
};

static int pad_check(const struct step *s, const struct type *in, struct type *out,
		     struct sconce_error *e)
{
	const struct params *p = &s->params;

	if (p->fill.n > 4)
		return step_fail(e, s, -1, "fill has at most four values");
	like(in, out);
	if (out->shape[1] >= 0)
		out->shape[1] += p->top + p->bottom + 2 * p->size;
	if (out->shape[2] >= 0)
		out->shape[2] += p->left + p->right + 2 * p->size;
	return 0;
}

static bool pad_image(const struct step *s, struct image_step *ret)
{
	const struct params *p = &s->params;

	ret->op = IMAGE_PAD;
	ret->box.x = (int32_t)(p->left + p->size);
	ret->box.y = (int32_t)(p->top + p->size);
	ret->box.width = (int32_t)(p->right + p->size);
	ret->box.height = (int32_t)(p->bottom + p->size);
	for (unsigned i = 0; i < 4 && p->fill.n; i++)
		ret->box.fill[i] = (uint8_t)p->fill.v[MIN(i, p->fill.n - 1)];
	return true;
}

const struct op op_pad = {
	.name = "pad",
	.help = "a margin around the picture",
	.takes = IMAGE,
	.gives = KIND_IMAGE,
	.params = pad_params,
	.n_params = ARRAY_LEN(pad_params),
	.check = pad_check,
	.image = pad_image,
	CHAINED,
};

static const struct param flip_params[] = {
	{ "axis", PARAM_CHOICE, AT(flip_y), "x: left becomes right; y: top becomes bottom",
	  .words = { "x", "y" } },
};

static bool flip_image(const struct step *s, struct image_step *ret)
{
	ret->op = s->params.flip_y ? IMAGE_FLIP_Y : IMAGE_FLIP_X;
	return true;
}

const struct op op_flip = {
	.name = "flip",
	.help = "mirrored",
	.takes = IMAGE,
	.gives = KIND_IMAGE,
	.params = flip_params,
	.n_params = ARRAY_LEN(flip_params),
	.check = same_check,
	.image = flip_image,
	CHAINED,
};

/* ---- tensors of pictures ---- */

static const struct param tensor_params[] = {
	{ "values", PARAM_CHOICE, AT(as_bytes),
	  "floats: FP32 from 0 to 1, as ToTensor; bytes: UINT8, as they are",
	  .words = { "floats", "bytes" } },
};

static int tensor_check(const struct step *s, const struct type *in, struct type *out,
			struct sconce_error *e)
{
	(void)e;
	out->dtype = s->params.as_bytes ? SCONCE_UINT8 : SCONCE_FP32;
	return like(in, out);
}

static bool tensor_image(const struct step *s, struct image_step *ret)
{
	ret->op = s->params.as_bytes ? IMAGE_TO_BYTES : IMAGE_TO_TENSOR;
	return true;
}

const struct op op_to_tensor = {
	.name = "to_tensor",
	.help = "channels × height × width of the picture",
	.takes = IMAGE,
	.gives = KIND_TENSOR,
	.params = tensor_params,
	.n_params = ARRAY_LEN(tensor_params),
	.check = tensor_check,
	.image = tensor_image,
	CHAINED,
};

static const struct param normalize_params[] = {
	{ "mean", PARAM_REALS, AT(mean), "of each channel, or of all", .required = true },
	{ "std", PARAM_REALS, AT(std), "standard deviations, likewise", .required = true },
};

static int normalize_check(const struct step *s, const struct type *in, struct type *out,
			   struct sconce_error *e)
{
	const struct params *p = &s->params;

	if (p->mean.n != p->std.n)
		return step_fail(e, s, -1, "mean and std must have as many values");
	for (unsigned i = 0; i < p->std.n; i++)
		if (p->std.v[i] == 0)
			return step_fail(e, s, -1,
					 "a standard deviation of 0 cannot be divided by");
	if ((in->dtype && in->dtype != SCONCE_FP32) ||
	    (in->ndim != SCONCE_NDIM_ANY && in->ndim != 3))
		return step_fail(e, s, -1, "it takes a tensor FP32 of channels × height × width");
	*out = *in;
	out->dtype = SCONCE_FP32;
	if (in->ndim == 3 && p->mean.n > 1 && in->shape[0] == SCONCE_DIM_ANY)
		out->shape[0] = p->mean.n;
	return 0;
}

static bool normalize_image(const struct step *s, struct image_step *ret)
{
	ret->op = IMAGE_NORMALIZE;
	ret->normalize.n = s->params.mean.n;
	for (unsigned i = 0; i < s->params.mean.n; i++) {
		ret->normalize.mean[i] = s->params.mean.v[i];
		ret->normalize.std[i] = s->params.std.v[i];
	}
	return true;
}

/* Behind something other than a picture. */
static int normalize_run(const struct step *s, struct pipeline_run *run, const struct value *in,
			 struct value *out, struct sconce_error *e)
{
	const struct step_reals *mean = &s->params.mean, *std = &s->params.std;
	const struct sconce_tensor *t = &in->tensor;
	const float *from = t->data;
	size_t area, at = 0;
	float *to;

	(void)run;
	if (t->dtype != SCONCE_FP32 || t->ndim != 3 || (mean->n > 1 && t->shape[0] != mean->n))
		return step_fail(e, s, SCONCE_BAD_INPUT,
				 "it takes a tensor FP32 of %u channels × height × width", mean->n);
	out->tensor = *t;
	out->tensor.release = NULL;
	to = value_place(out);
	if (!to)
		return ops_no_memory(s, e);
	area = (size_t)t->shape[1] * (size_t)t->shape[2];
	for (size_t c = 0; c < (size_t)t->shape[0]; c++)
		for (size_t i = 0; i < area; i++, at++) {
			unsigned k = (unsigned)MIN(c, mean->n - 1);

			to[at] = (from[at] - mean->v[k]) / std->v[k];
		}
	return 0;
}

const struct op op_normalize = {
	.name = "normalize",
	.help = "(x - mean) / std of each channel",
	.takes = KIND_BIT(KIND_TENSOR),
	.gives = KIND_TENSOR,
	.params = normalize_params,
	.n_params = ARRAY_LEN(normalize_params),
	.check = normalize_check,
	.image = normalize_image,
	.run = normalize_run,
};
