/* SPDX-License-Identifier: Apache-2.0 */
/* Pixels of the modes I;16 and F, as Pillow has them: sums of doubles, rounded after each pass. */
#include <math.h>
#include <string.h>

#include "base/util.h"
#include "image/kernels.h"

static void put(uint8_t *to, double sum)
{
	double whole = floor(sum + 0.5);
	unsigned value = whole <= 0 ? 0 : whole >= UINT16_MAX ? UINT16_MAX : (unsigned)whole;

	to[0] = (uint8_t)value;
	to[1] = (uint8_t)(value >> 8);
}

static unsigned pixel(const uint8_t *p)
{
	return p[0] | (unsigned)p[1] << 8;
}

static void across(const struct image_weights *w, const uint8_t *const from[IMAGE_ROWS],
		   uint8_t *const to[IMAGE_ROWS])
{
	for (unsigned r = 0; r < IMAGE_ROWS; r++)
		for (uint32_t i = 0; i < w->n; i++) {
			const double *k = w->exact + (size_t)i * w->taps;
			const uint8_t *p = from[r] + (size_t)w->lo[i] * 2;
			double sum = 0;

			for (uint32_t j = 0; j < w->count[i]; j++)
				sum += pixel(p + 2 * j) * k[j];
			put(to[r] + 2 * i, sum);
		}
}

static void down(const struct image_weights *w, uint32_t i, const uint8_t *const *rows, uint8_t *to,
		 size_t n)
{
	const double *k = w->exact + (size_t)i * w->taps;

	for (size_t at = 0; at < n; at += 2) {
		double sum = 0;

		for (uint32_t j = 0; j < w->count[i]; j++)
			sum += pixel(rows[j] + at) * k[j];
		put(to + at, sum);
	}
}

const struct image_kernels image_kernels_16 = {
	.name = "16",
	.across = across,
	.down = down,
};

/* ---- floats ---- */

static double number(const uint8_t *p)
{
	float value;

	memcpy(&value, p, sizeof(value));
	return value;
}

static void put_number(uint8_t *to, double sum)
{
	memcpy(to, &(float){ (float)sum }, sizeof(float));
}

static void across_floats(const struct image_weights *w, const uint8_t *const from[IMAGE_ROWS],
			  uint8_t *const to[IMAGE_ROWS])
{
	for (unsigned r = 0; r < IMAGE_ROWS; r++)
		for (uint32_t i = 0; i < w->n; i++) {
			const double *k = w->exact + (size_t)i * w->taps;
			const uint8_t *p = from[r] + (size_t)w->lo[i] * 4;
			double sum = 0;

			for (uint32_t j = 0; j < w->count[i]; j++)
				sum += number(p + 4 * j) * k[j];
			put_number(to[r] + 4 * i, sum);
		}
}

static void down_floats(const struct image_weights *w, uint32_t i, const uint8_t *const *rows,
			uint8_t *to, size_t n)
{
	const double *k = w->exact + (size_t)i * w->taps;

	for (size_t at = 0; at < n; at += 4) {
		double sum = 0;

		for (uint32_t j = 0; j < w->count[i]; j++)
			sum += number(rows[j] + at) * k[j];
		put_number(to + at, sum);
	}
}

const struct image_kernels image_kernels_f = {
	.name = "f",
	.across = across_floats,
	.down = down_floats,
};
