/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/ops.h"

/* Tensors as pictures. */

#include <string.h>

#include "pipeline/tensor.h"

#define AT(field) offsetof(struct params, field)
#define TENSOR KIND_BIT(KIND_TENSOR)

static int mask_check(const struct step *s, const struct type *in, struct type *out,
		      struct sconce_error *e)
{
	(void)out;
	if (in->ndim != SCONCE_NDIM_ANY && in->ndim != 2 && in->ndim != 3)
		return step_fail(e, s, -1,
				 "it takes classes × height × width, or height × width of classes");
	return 0;
}

static int image_begin(const struct step *s, struct value *out, enum image_mode mode, int64_t width,
		       int64_t height, struct sconce_error *e)
{
	struct image_error why;
	int r;

	if (width < 1 || height < 1 || width > UINT16_MAX || height > UINT16_MAX)
		return step_fail(e, s, -1, "a picture has from 1 to 65535 pixels on each side");
	out->image = calloc(1, sizeof(*out->image));
	out->kind = KIND_IMAGE;
	if (!out->image)
		return ops_no_memory(s, e);
	r = image_create(out->image, mode, (uint32_t)width, (uint32_t)height, &why);
	return r < 0 ? step_fail(e, s, SCONCE_NO_MEMORY, "%.250s", why.text) : 0;
}

static double mask_class(const struct sconce_tensor *t, size_t at, size_t pixels)
{
	size_t best = 0;

	if (t->ndim == 2)
		return value_number(t, at);
	for (size_t c = 1; c < (size_t)t->shape[0]; c++)
		if (value_number(t, c * pixels + at) > value_number(t, best * pixels + at))
			best = c;
	return (double)best;
}

static int mask_run(const struct step *s, struct pipeline_run *run, const struct value *in,
		    struct value *out, struct sconce_error *e)
{
	const struct sconce_tensor *t = &in->tensor;
	size_t width, height;
	int r;

	(void)run;
	if ((t->ndim != 2 && t->ndim != 3) || !sconce_dtype_size(t->dtype) ||
	    (t->ndim == 3 && !t->shape[0]))
		return step_fail(e, s, -1,
				 "it takes classes × height × width, or height × width of classes");
	height = (size_t)t->shape[t->ndim - 2];
	width = (size_t)t->shape[t->ndim - 1];
	r = image_begin(s, out, IMAGE_L, (int64_t)width, (int64_t)height, e);
	for (size_t y = 0; !r && y < height; y++)
		for (size_t x = 0; x < width; x++) {
			double v = mask_class(t, y * width + x, width * height);

			out->image->pixels[y * out->image->stride + x] = (uint8_t)(v >= 255 ? 255
										   : v > 0  ? v
											    : 0);
		}
	return r;
}

const struct op op_mask = {
	.name = "mask",
	.help = "a grey picture whose values are the likeliest classes, for encode_png",
	.takes = TENSOR,
	.gives = KIND_IMAGE,
	.check = mask_check,
	.run = mask_run,
};

static const struct param to_image_params[] = {
	{ "range", PARAM_REAL, AT(range), "the value that is white: 1 or 255", .fallback = 1,
	  .min = 1e-6, .max = 1e9 },
};

static int to_image_check(const struct step *s, const struct type *in, struct type *out,
			  struct sconce_error *e)
{
	(void)out;
	if (in->ndim == SCONCE_NDIM_ANY ||
	    (in->ndim == 3 && (in->shape[0] < 0 || in->shape[0] == 1 || in->shape[0] == 3)))
		return 0;
	return step_fail(e, s, -1, "it takes channels (1 or 3) × height × width");
}

static uint8_t pixel(double v, double range)
{
	v = v * 255 / range + 0.5;
	return (uint8_t)(v >= 255 ? 255 : v > 0 ? v : 0);
}

static int to_image_run(const struct step *s, struct pipeline_run *run, const struct value *in,
			struct value *out, struct sconce_error *e)
{
	const struct sconce_tensor *t = &in->tensor;
	bool grey = t->ndim == 3 && t->shape[0] == 1;
	size_t area;
	int r;

	(void)run;
	if (t->ndim != 3 || (!grey && t->shape[0] != 3) || !sconce_dtype_size(t->dtype))
		return step_fail(e, s, -1, "it takes channels (1 or 3) × height × width");
	r = image_begin(s, out, grey ? IMAGE_L : IMAGE_RGB, t->shape[2], t->shape[1], e);
	area = (size_t)t->shape[1] * (size_t)t->shape[2];
	for (size_t i = 0; !r && i < area; i++) {
		size_t y = i / (size_t)t->shape[2], x = i % (size_t)t->shape[2];
		uint8_t *to = out->image->pixels + y * out->image->stride +
			      x * image_pixel(out->image->mode);

		for (unsigned c = 0; c < (grey ? 1 : 3); c++)
			to[c] = pixel(value_number(t, c * area + i), s->params.range);
		if (!grey)
			to[3] = 255;
	}
	return r;
}

const struct op op_to_image = {
	.name = "to_image",
	.help = "a tensor, channels × height × width, as a picture",
	.takes = TENSOR,
	.gives = KIND_IMAGE,
	.params = to_image_params,
	.n_params = ARRAY_LEN(to_image_params),
	.check = to_image_check,
	.run = to_image_run,
};
