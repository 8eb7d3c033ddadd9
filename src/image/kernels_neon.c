/* SPDX-License-Identifier: Apache-2.0 */
/* For 64-bit ARM, all of which have NEON. */
#include <arm_neon.h>

#include "image/kernels.h"
#include "image/kernels_split.h"

/* Sums of products with the lower and the upper parts. */
struct sums {
	int32x4_t lower, upper;
};

static inline struct sums start(void)
{
	return (struct sums){ vdupq_n_s32(WEIGHT_HALF), vdupq_n_s32(0) };
}

static inline int16x4_t together(struct sums s)
{
	int32x4_t sum = vaddq_s32(s.lower, vshlq_n_s32(s.upper, SPLIT_BITS));

	return vmovn_s32(vshrq_n_s32(sum, WEIGHT_BITS)); /* from -512 to 511 */
}

/* One pixel: `k` has the lower parts of two taps, then the upper ones; twice. */
static inline int16x4_t pixel(const uint8_t *from, const uint8_t *k, uint32_t taps)
{
	struct sums s = start();

	for (uint32_t j = 0; j < taps; j += 4, from += 16, k += 16) {
		uint8x16_t four = vld1q_u8(from);
		int16x8_t a = vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(four)));
		int16x8_t b = vreinterpretq_s16_u16(vmovl_high_u8(four));
		int16x8_t parts = vreinterpretq_s16_u8(vld1q_u8(k));

		s.lower = vmlal_laneq_s16(s.lower, vget_low_s16(a), parts, 0);
		s.upper = vmlal_laneq_s16(s.upper, vget_low_s16(a), parts, 2);
		s.lower = vmlal_high_laneq_s16(s.lower, a, parts, 1);
		s.upper = vmlal_high_laneq_s16(s.upper, a, parts, 3);
		s.lower = vmlal_laneq_s16(s.lower, vget_low_s16(b), parts, 4);
		s.upper = vmlal_laneq_s16(s.upper, vget_low_s16(b), parts, 6);
		s.lower = vmlal_high_laneq_s16(s.lower, b, parts, 5);
		s.upper = vmlal_high_laneq_s16(s.upper, b, parts, 7);
	}
	return together(s);
}

static void across(const struct image_weights *w, const uint8_t *const from[IMAGE_ROWS],
		   uint8_t *const to[IMAGE_ROWS])
{
	for (unsigned r = 0; r < IMAGE_ROWS; r++)
		for (uint32_t i = 0; i < w->n; i += 4) {
			const uint8_t *k = w->packed + i * w->packed_each;
			int16x4_t p[4];

			for (unsigned j = 0; j < 4; j++, k += w->packed_each)
				p[j] = pixel(from[r] + (size_t)w->lo[i + j] * 4, k, w->taps);
			vst1q_u8(to[r] + 4 * i, vcombine_u8(vqmovun_s16(vcombine_s16(p[0], p[1])),
							    vqmovun_s16(vcombine_s16(p[2], p[3]))));
		}
}

static inline void add_four(struct sums *s, int16x4_t values, int16_t lower, int16_t upper)
{
	s->lower = vmlal_n_s16(s->lower, values, lower);
	s->upper = vmlal_n_s16(s->upper, values, upper);
}

static inline void down_16(const int16_t *k, uint32_t taps, const uint8_t *const *rows, size_t at,
			   uint8_t *to)
{
	struct sums s[4] = { start(), start(), start(), start() };

	for (uint32_t j = 0; j < taps; j++) {
		int16_t lower = k[j / 2 * 4 + j % 2], upper = k[j / 2 * 4 + j % 2 + 2];
		uint8x16_t p = vld1q_u8(rows[j] + at);
		int16x8_t a = vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(p)));
		int16x8_t b = vreinterpretq_s16_u16(vmovl_high_u8(p));

		add_four(&s[0], vget_low_s16(a), lower, upper);
		add_four(&s[1], vget_high_s16(a), lower, upper);
		add_four(&s[2], vget_low_s16(b), lower, upper);
		add_four(&s[3], vget_high_s16(b), lower, upper);
	}
	vst1q_u8(to + at, vcombine_u8(vqmovun_s16(vcombine_s16(together(s[0]), together(s[1]))),
				      vqmovun_s16(vcombine_s16(together(s[2]), together(s[3])))));
}

static void down(const struct image_weights *w, uint32_t i, const uint8_t *const *rows, uint8_t *to,
		 size_t n)
{
	const int16_t *k = (const int16_t *)(const void *)(w->packed + i * w->packed_each);

	for (size_t at = 0; at < n; at += 16)
		down_16(k, w->taps, rows, at, to);
}

static inline float32x4_t scale(const struct image_scale *s, unsigned band, uint16x4_t bytes)
{
	float32x4_t x = vdivq_f32(vcvtq_f32_u32(vmovl_u16(bytes)), vdupq_n_f32(255));

	if (s->plain)
		return x;
	x = vsubq_f32(x, vdupq_n_f32(s->mean[band]));
	return vdivq_f32(x, vdupq_n_f32(s->std[band]));
}

static void floats(const struct image_scale *s, const uint8_t *from, uint32_t n, unsigned bands,
		   float *const *to)
{
	uint32_t whole = n - n % 8;
	float *rest[4] = { 0 };

	for (uint32_t x = 0; x < whole; x += 8) {
		uint8x8x4_t p = vld4_u8(from + 4 * x);

		for (unsigned b = 0; b < bands; b++) {
			uint16x8_t wide = vmovl_u8(p.val[b]);

			vst1q_f32(to[b] + x, scale(s, b, vget_low_u16(wide)));
			vst1q_f32(to[b] + x + 4, scale(s, b, vget_high_u16(wide)));
		}
	}
	for (unsigned b = 0; b < bands; b++)
		rest[b] = to[b] + whole;
	image_kernels_plain.floats(s, from + (size_t)whole * 4, n - whole, bands, rest);
}

/* Of 4 pixels; the half is added as it is shifted. */
static inline uint16x4_t luma(uint16x4_t red, uint16x4_t green, uint16x4_t blue)
{
	uint32x4_t sum = vmull_n_u16(red, LUMA_RED);

	sum = vmlal_n_u16(sum, green, LUMA_GREEN);
	return vrshrn_n_u32(vmlal_n_u16(sum, blue, LUMA_BLUE), LUMA_BITS);
}

static void grey(uint8_t *to, const uint8_t *from, size_t n)
{
	size_t whole = n - n % 8;

	for (size_t x = 0; x < whole; x += 8) {
		uint8x8x4_t p = vld4_u8(from + 4 * x);
		uint16x8_t r = vmovl_u8(p.val[0]), g = vmovl_u8(p.val[1]), b = vmovl_u8(p.val[2]);
		uint16x4_t low = luma(vget_low_u16(r), vget_low_u16(g), vget_low_u16(b));
		uint16x4_t high = luma(vget_high_u16(r), vget_high_u16(g), vget_high_u16(b));

		vst1_u8(to + x, vmovn_u16(vcombine_u16(low, high)));
	}
	image_kernels_plain.grey(to + whole, from + 4 * whole, n - whole);
}

/* What of the paper's white an ink leaves. */
static inline uint8x8_t under_ink(uint8x8_t ink, uint8x8_t white)
{
	uint16x8_t product = vaddq_u16(vmull_u8(ink, white), vdupq_n_u16(128));

	return vsub_u8(white, vshrn_n_u16(vsraq_n_u16(product, product, 8), 8));
}

static void light(uint8_t *to, const uint8_t *from, size_t n)
{
	size_t whole = n - n % 8;

	for (size_t x = 0; x < whole; x += 8) {
		uint8x8x4_t p = vld4_u8(from + 4 * x);
		uint8x8_t white = vmvn_u8(p.val[3]);

		for (unsigned b = 0; b < 3; b++)
			p.val[b] = under_ink(p.val[b], white);
		p.val[3] = vdup_n_u8(255);
		vst4_u8(to + 4 * x, p);
	}
	image_kernels_plain.light(to + 4 * whole, from + 4 * whole, n - whole);
}

const struct image_kernels image_kernels_neon = {
	.name = "neon",
	.packed = split_packed,
	.pack = split_pack,
	.across = across,
	.down = down,
	.floats = floats,
	.grey = grey,
	.light = light,
};
