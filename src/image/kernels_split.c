/* SPDX-License-Identifier: Apache-2.0 */
#include "image/kernels_split.h"

#include <string.h>

size_t split_packed(uint32_t taps)
{
	return (size_t)taps * 2 * sizeof(int16_t);
}

bool split_pack(const int32_t *k, uint32_t taps, uint8_t *to)
{
	for (uint32_t i = 0; i < taps; i++) {
		int16_t lower = (int16_t)(k[i] & ((1 << SPLIT_BITS) - 1));
		int32_t upper = k[i] >> SPLIT_BITS;
		uint8_t *at = to + (i / 2) * 8 + (i % 2) * 2;

		if (upper < INT16_MIN || upper > INT16_MAX)
			return false;
		memcpy(at, &lower, 2);
		memcpy(at + 4, &(int16_t){ (int16_t)upper }, 2);
	}
	return true;
}
