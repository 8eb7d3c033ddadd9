/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The compressed pixels of a GIF, to indices. Pure; memory is bounded by the struct.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GIF_CODES 4096

enum gif_outcome { GIF_DONE, GIF_TOO_SHORT, GIF_DAMAGED };

struct gif_lzw {
	/* Set by the caller, the rest 0. */
	const uint8_t *p, *end; /* blocks of data, from the first one's length on */
	uint8_t *to;            /* the frame's upper left pixel */
	size_t stride;
	uint32_t width, height; /* of the frame; neither is 0 */
	bool interlaced;
	unsigned bits; /* of a pixel, as the file says */

	const uint8_t *limit; /* what has been read of it */
	uint32_t buffer;      /* bits that wait, from the lowest on */
	unsigned waiting, block;
	unsigned width_bits, next; /* of a code; the next free one */
	bool fresh;                /* no code came since the table was cleared */
	uint32_t x, y, step;
	unsigned pass;
	uint16_t before[GIF_CODES]; /* the string of each code: one before it, and a last pixel */
	uint8_t last[GIF_CODES], string[GIF_CODES];
	unsigned code; /* the one before */
	uint8_t first; /* pixel of its string */
};

enum gif_outcome gif_lzw(struct gif_lzw *l);
