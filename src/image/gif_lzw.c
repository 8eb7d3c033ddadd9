/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Codes become strings of pixels; a string is kept as another one and a pixel behind it, so it is
 * unrolled from its end. What counts as damaged is as in Pillow, which also goes on behind the code
 * that should be the last, as long as the file does, if the frame is not full.
 */
#include "image/gif_lzw.h"

#include <string.h>

#include "base/util.h"

#define PORTION 65536 /* that Pillow reads at a time */

static bool read_more(struct gif_lzw *l)
{
	size_t n = MIN((size_t)PORTION, (size_t)(l->end - l->limit));

	l->limit += n;
	return n;
}

/* A block counts when all of it is there. */
static bool next_block(struct gif_lzw *l)
{
	while (l->limit - l->p < 1 || l->limit - l->p < 1 + *l->p)
		if (!read_more(l))
			return false;
	l->block = *l->p++;
	return true;
}

static bool next_code(struct gif_lzw *l, unsigned *code)
{
	while (l->waiting < l->width_bits) {
		if (!l->block) {
			if (!next_block(l))
				return false;
			continue;
		}
		l->buffer |= (uint32_t)*l->p++ << l->waiting;
		l->waiting += 8;
		l->block--;
	}
	*code = l->buffer & ((1U << l->width_bits) - 1);
	l->buffer >>= l->width_bits;
	l->waiting -= l->width_bits;
	return true;
}

static void clear(struct gif_lzw *l)
{
	l->next = (1U << l->bits) + 2;
	l->width_bits = l->bits + 1;
	l->fresh = true;
}

/* To the next row. False: that was the last one. */
static bool next_row(struct gif_lzw *l)
{
	static const uint8_t first[] = { 0, 4, 2, 1 }, step[] = { 8, 8, 4, 2 };

	l->x = 0;
	l->y += l->step;
	while (l->y >= l->height) {
		if (!l->interlaced || ++l->pass >= ARRAY_LEN(first))
			return false;
		l->y = first[l->pass];
		l->step = step[l->pass];
	}
	return true;
}

/* False: the frame is full. */
static bool put(struct gif_lzw *l, const uint8_t *string, unsigned n)
{
	while (n) {
		unsigned fit = (unsigned)MIN((uint32_t)n, l->width - l->x);

		memcpy(l->to + l->y * l->stride + l->x, string, fit);
		string += fit;
		n -= fit;
		l->x += fit;
		if (l->x == l->width && !next_row(l))
			return false;
	}
	return true;
}

/* Unrolls the string of `code` to the end of l->string. Its length, or 0: damaged. */
static unsigned unroll(struct gif_lzw *l, unsigned code)
{
	unsigned at = GIF_CODES;

	if (code > l->next)
		return 0;
	if (code == l->next) { /* the one that is made at this moment */
		l->string[--at] = l->first;
		code = l->code;
	}
	while (code >= 1U << l->bits) {
		if (!at || code >= GIF_CODES)
			return 0;
		l->string[--at] = l->last[code];
		code = l->before[code];
	}
	if (!at)
		return 0;
	l->string[--at] = l->first = (uint8_t)code;
	return GIF_CODES - at;
}

static void learn(struct gif_lzw *l)
{
	if (l->next >= GIF_CODES)
		return;
	l->last[l->next] = l->first;
	l->before[l->next] = (uint16_t)l->code;
	if (l->next == (1U << l->width_bits) - 1 && l->width_bits < 12)
		l->width_bits++;
	l->next++;
}

static enum gif_outcome decode(struct gif_lzw *l)
{
	unsigned code, first = 1U << l->bits;

	for (;;) {
		unsigned n;

		if (!next_code(l, &code))
			return GIF_TOO_SHORT;
		if (code == first) {
			clear(l);
			continue;
		}
		if (code == first + 1) {
			if (!read_more(l))
				return GIF_TOO_SHORT;
			continue;
		}
		if (l->fresh && code > first)
			return GIF_DAMAGED;
		n = unroll(l, code);
		if (!n)
			return GIF_DAMAGED;
		if (!l->fresh)
			learn(l);
		l->fresh = false;
		l->code = code;
		if (!put(l, l->string + GIF_CODES - n, n))
			return GIF_DONE;
	}
}

enum gif_outcome gif_lzw(struct gif_lzw *l)
{
	if (l->bits > 12)
		return GIF_DAMAGED;
	l->limit = l->p;
	read_more(l);
	l->step = l->interlaced ? 8 : 1;
	clear(l);
	return decode(l);
}
