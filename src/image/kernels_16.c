/* SPDX-License-Identifier: Apache-2.0 */
/* Pixels of the modes I;16 and F, as Pillow has them: sums of doubles, rounded after each pass. */
#include <math.h>
#include <string.h>

#include "base/util.h"
#include "image/kernels.h"

typedef double get_fn(const uint8_t *pixel);
typedef void put_fn(uint8_t *to, double sum);

static inline void across(const struct image_weights *w, const uint8_t *const from[IMAGE_ROWS],
			  uint8_t *const to[IMAGE_ROWS], size_t size, get_fn *get, put_fn *put)
{
	for (unsigned r = 0; r < IMAGE_ROWS; r++)
		for (uint32_t i = 0; i < w->n; i++) {
			const double *k = w->exact + (size_t)i * w->taps;
			const uint8_t *p = from[r] + w->lo[i] * size;
			double sum = 0;

			for (uint32_t j = 0; j < w->count[i]; j++)
				sum += get(p + size * j) * k[j];
			put(to[r] + size * i, sum);
		}
}

static inline void down(const struct image_weights *w, uint32_t i, const uint8_t *const *rows,
			uint8_t *to, size_t n, size_t size, get_fn *get, put_fn *put)
{
	const double *k = w->exact + (size_t)i * w->taps;

	for (size_t at = 0; at < n; at += size) {
		double sum = 0;

		for (uint32_t j = 0; j < w->count[i]; j++)
			sum += get(rows[j] + at) * k[j];
		put(to + at, sum);
	}
}

/* ---- 16 bits ---- */

static double get_16(const uint8_t *p)
{
	return p[0] | (unsigned)p[1] << 8;
}

static void put_16(uint8_t *to, double sum)
{
	double whole = floor(sum + 0.5);
	unsigned value = whole <= 0 ? 0 : whole >= UINT16_MAX ? UINT16_MAX : (unsigned)whole;

	to[0] = (uint8_t)value;
	to[1] = (uint8_t)(value >> 8);
}

static void across_16(const struct image_weights *w, const uint8_t *const from[IMAGE_ROWS],
		      uint8_t *const to[IMAGE_ROWS])
{
	across(w, from, to, sizeof(uint16_t), get_16, put_16);
}

static void down_16(const struct image_weights *w, uint32_t i, const uint8_t *const *rows,
		    uint8_t *to, size_t n)
{
	down(w, i, rows, to, n, sizeof(uint16_t), get_16, put_16);
}

const struct image_kernels image_kernels_16 = {
	.name = "16",
	.across = across_16,
	.down = down_16,
};

/* ---- floats ---- */

static double get_f(const uint8_t *p)
{
	float value;

	memcpy(&value, p, sizeof(value));
	return value;
}

static void put_f(uint8_t *to, double sum)
{
	memcpy(to, &(float){ (float)sum }, sizeof(float));
}

static void across_f(const struct image_weights *w, const uint8_t *const from[IMAGE_ROWS],
		     uint8_t *const to[IMAGE_ROWS])
{
	across(w, from, to, sizeof(float), get_f, put_f);
}

static void down_f(const struct image_weights *w, uint32_t i, const uint8_t *const *rows,
		   uint8_t *to, size_t n)
{
	down(w, i, rows, to, n, sizeof(float), get_f, put_f);
}

const struct image_kernels image_kernels_f = {
	.name = "f",
	.across = across_f,
	.down = down_f,
};
