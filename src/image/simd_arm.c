/* SPDX-License-Identifier: Apache-2.0 */
/* 64-bit ARM has NEON always. */
#include "image/kernels.h"

const struct image_kernels *const *image_kernels_all(void)
{
	static const struct image_kernels *const all[] = { &image_kernels_neon,
							   &image_kernels_plain, NULL };

	return all;
}
