/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Which JPEGs another decoder than libjpeg may be given: those that leave little to interpret.
 * Baseline (Huffman codes, 8 bits), grey or YCbCr, one scan with all components, one segment
 * right behind the other, and an end. Nothing is allocated.
 */

#include "image/decode.h"

/* NULL: it is one, of info's size and mode, and *ret is the number of its bytes up to the end; what
 * lies behind is nobody's. Otherwise why it is none, in words that follow "it". */
const char *jpeg_baseline(const uint8_t *p, size_t n, const struct image_info *info, size_t *ret);
