/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Weights for processors that multiply numbers of 16 bits and add pairs of products to sums of 32:
 * k is upper * 2^15 + lower, the lower from 0 to 2^15 - 1, and the sums of both are put together at
 * the end. For two taps, 0 and 1, four numbers of 16 bits: lower 0, lower 1, upper 0, upper 1.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SPLIT_BITS 15
#define WEIGHT_BITS 22
#define WEIGHT_HALF (1 << (WEIGHT_BITS - 1))

size_t split_packed(uint32_t taps);
bool split_pack(const int32_t *k, uint32_t taps, uint8_t *to);
