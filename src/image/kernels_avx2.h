/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What is as fast with AVX2 as with more: every processor with AVX-512 has it. */

#include "image/kernels.h"

void avx2_light(uint8_t *to, const uint8_t *from, size_t n);
