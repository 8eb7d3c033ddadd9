/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The coefficients of a JPEG, read faster than libjpeg reads them and put where its own decoder of
 * Huffman codes would put them: the rest of libjpeg does not notice. For pictures that come in one
 * scan of such codes (ITU T.81, annexes F.2.2 and C).
 *
 * It is strict. What is not as the standard says it is lost, and has to be decoded by libjpeg from
 * the beginning, which knows what to make of damage. What is not lost has the same coefficients.
 * Where the picture is decoded smaller those are left out that such a picture can do without:
 * behind the first 5 of a block that becomes 2 × 2 pixels, behind 25 of one that becomes 4 × 4.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <jpeglib.h>

struct jpeg_huffman;

/* Takes the place of the decoder of `d`, which has just begun to decompress and has read nothing of
 * the scan yet; its file is in memory up to `end`, of which its source has nothing to do any more.
 * NULL: this picture is libjpeg's, or there is no memory. Lives as long as `d` does. */
struct jpeg_huffman *jpeg_huffman_begin(j_decompress_ptr d, const uint8_t *end);
/* Then libjpeg waits for more of its source, in vain. */
bool jpeg_huffman_is_lost(const struct jpeg_huffman *h);
/* After jpeg_destroy_decompress(); NULL is nothing. */
void jpeg_huffman_free(struct jpeg_huffman *h);
