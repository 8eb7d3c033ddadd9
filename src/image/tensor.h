/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * From rows of pixels to a dense tensor. A byte has 256 values, so whatever becomes of a channel is
 * a table; the common case, floats of planes, is computed, as that is faster than looking it up,
 * and gives the same. Made once, then only read: any thread.
 */

#include "image/kernels.h"

struct tensor {
	enum image_element element;
	bool last; /* channels last: HWC */
	bool deep; /* of floats, which no table has: `scale` says it all */
	bool once; /* at most one normalisation: `scale` says it */
	struct image_scale scale;
	unsigned pixel, bands;
	uint8_t at[4];           /* of each channel, its byte in the pixel … */
	uint8_t sign[4];         /* … and what of it ToTensor sees the other way round */
	float values[4][256];    /* as floats … */
	uint16_t halves[4][256]; /* … and rounded to halves */
};

/* ToTensor of a mode, but I;16. Of F there is but one normalisation. */
void tensor_init(struct tensor *t, enum image_mode mode);
void tensor_normalize(struct tensor *t, const float mean[4], const float std[4]);
void tensor_to_halves(struct tensor *t);
size_t tensor_element_size(const struct tensor *t);
/* Row `y` of a picture of width × height. */
void tensor_row(const struct tensor *t, const struct image_kernels *kernels, const uint8_t *from,
		uint32_t y, uint32_t width, uint32_t height, void *to);
