/* SPDX-License-Identifier: Apache-2.0 */
#include "image/tensor.h"

#include <string.h>

#include "base/half.h"
#include "base/util.h"

void tensor_init(struct tensor *t, enum image_mode mode)
{
	static const uint8_t grey_and_alpha[4] = { 0, 3 }, each[4] = { 0, 1, 2, 3 };

	*t = (struct tensor){ .element = IMAGE_F32, .once = true, .bands = image_bands(mode) };
	t->pixel = image_pixel(mode);
	t->deep = mode == IMAGE_F;
	for (unsigned b = 0; b < 4; b++) {
		t->at[b] = t->bands == 2 ? grey_and_alpha[b] : each[b];
		t->sign[b] = mode == IMAGE_LAB && b ? IMAGE_LAB_SIGN : 0;
		t->scale.std[b] = 1;
		for (unsigned x = 0; x < 256; x++)
			t->values[b][x] = (float)(x ^ t->sign[b]) / 255;
	}
	t->scale.plain = true;
	if (mode == IMAGE_LAB)
		t->once = false; /* which kernels do not compute */
}

void tensor_normalize(struct tensor *t, const float mean[4], const float std[4])
{
	for (unsigned b = 0; b < 4; b++)
		for (unsigned x = 0; x < 256; x++) {
			float centred = t->values[b][x] - mean[b];

			t->values[b][x] = centred / std[b];
		}
	t->once = t->once && t->scale.plain;
	t->scale.plain = false;
	for (unsigned b = 0; b < 4; b++) {
		t->scale.mean[b] = mean[b];
		t->scale.std[b] = std[b];
	}
}

void tensor_to_halves(struct tensor *t)
{
	t->element = IMAGE_F16;
	for (unsigned b = 0; b < 4; b++)
		for (unsigned x = 0; x < 256; x++)
			t->halves[b][x] = half_from_float(t->values[b][x]);
}

size_t tensor_element_size(const struct tensor *t)
{
	return t->element == IMAGE_F32 ? 4 : t->element == IMAGE_F16 ? 2 : 1;
}

static void floats(const struct tensor *t, const uint8_t *from, uint32_t n, unsigned band,
		   float *to, size_t step)
{
	const float *values = t->values[band];

	for (uint32_t x = 0; x < n; x++, from += t->pixel, to += step)
		*to = values[*from];
}

static void halves(const struct tensor *t, const uint8_t *from, uint32_t n, unsigned band,
		   uint16_t *to, size_t step)
{
	const uint16_t *values = t->halves[band];

	for (uint32_t x = 0; x < n; x++, from += t->pixel, to += step)
		*to = values[*from];
}

static void bytes(const struct tensor *t, const uint8_t *from, uint32_t n, unsigned band,
		  uint8_t *to, size_t step)
{
	for (uint32_t x = 0; x < n; x++, from += t->pixel, to += step)
		*to = *from ^ t->sign[band];
}

/* Of floats, which have one channel. */
static void deep(const struct tensor *t, const uint8_t *from, uint32_t n, uint8_t *to)
{
	size_t size = tensor_element_size(t);

	for (uint32_t x = 0; x < n; x++, from += sizeof(float), to += size) {
		float value;
		uint16_t half;

		memcpy(&value, from, sizeof(value));
		if (!t->scale.plain) {
			value = value - t->scale.mean[0];
			value = value / t->scale.std[0];
		}
		half = half_from_float(value);
		memcpy(to, t->element == IMAGE_F16 ? (void *)&half : &value, size);
	}
}

void tensor_row(const struct tensor *t, const struct image_kernels *kernels, const uint8_t *from,
		uint32_t y, uint32_t width, uint32_t height, void *to)
{
	size_t step = t->last ? t->bands : 1, plane = (size_t)width * height;
	size_t row = (size_t)y * width * step;
	float *planes[4];

	if (t->deep) {
		deep(t, from, width, (uint8_t *)to + row * tensor_element_size(t));
		return;
	}
	for (unsigned b = 0; b < t->bands; b++) {
		size_t at = t->last ? row + b : row + b * plane;

		planes[b] = (float *)to + at;
		if (t->element == IMAGE_F16)
			halves(t, from + t->at[b], width, b, (uint16_t *)to + at, step);
		else if (t->element == IMAGE_U8)
			bytes(t, from + t->at[b], width, b, (uint8_t *)to + at, step);
		else if (t->last || t->bands < 3 || !t->once)
			floats(t, from + t->at[b], width, b, (float *)to + at, step);
	}
	if (t->element == IMAGE_F32 && !t->last && t->bands >= 3 && t->once)
		kernels->floats(&t->scale, from, width, t->bands, planes);
}
