/* SPDX-License-Identifier: Apache-2.0 */
#define JPEG_INTERNALS /* the place of a decoder: Debian's libjpeg-turbo installs jpegint.h */
#include "image/jpeg_huffman.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define LENGTHS 16 /* of codes, in bits */
#define LOOK 10    /* bits that are looked up: a code, and mostly what follows it */
#define SKIP 12    /* the same where coefficients are only left out, several at a time */
#define MOST 27    /* bits that are used at once: SKIP, and a value that begins there */
#define BLOCK 64

enum { RST0 = 0xd0, EOI = 0xd9 };

/* What the next bits are. COEFFICIENT: whole, with its value. SIZE: the code of one whose value is
 * in the last of its bits, so many. LONG: a code of more bits than were looked up. WRONG: libjpeg
 * ends the block there, too, but it is in no picture of this kind. */
enum { LONG, COEFFICIENT, SIZE, ZEROS, END, WRONG };

struct symbol {
	int16_t value;
	uint8_t bits;
	uint8_t what : 4, run : 4;
};

struct codes {
	struct symbol look[1 << LOOK];
	int32_t last[LENGTHS + 2];   /* code of each length; -1: none. The one behind: any */
	int32_t offset[LENGTHS + 1]; /* of a code to its value */
	uint8_t values[256];
};

/* What may be left out at once, of the bits that begin a block's rest. */
struct leap {
	uint8_t bits; /* 0: nothing known */
	uint8_t n : 7, end : 1;
};

/* Bits to come, from the highest down; `left` of them are of the file, and zeros follow. Less than
 * 0: some of these have been used. */
struct bits {
	uint64_t next;
	int left;
	const uint8_t *p, *end;
};

struct jpeg_huffman {
	struct jpeg_entropy_decoder decoder;
	struct bits bits;
	int dc[MAX_COMPS_IN_SCAN];   /* of the block before */
	int keep[MAX_COMPS_IN_SCAN]; /* the last coefficient that is wanted of a block */
	unsigned in_interval, restarts;
	uint64_t units; /* still to come: libjpeg's MCUs */
	bool lost;
	struct codes codes[2][NUM_HUFF_TBLS]; /* of DC, of AC */
	struct leap leaps[NUM_HUFF_TBLS][1 << SKIP];
};

/* Where a coefficient has its place in libjpeg's blocks. */
static const uint8_t natural[BLOCK] = {
	0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,  12, 19, 26, 33, 40, 48,
	41, 34, 27, 20, 13, 6,  7,  14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23,
	30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
};

/* ---- tables ---- */

/* A number of `size` bits: those that begin with 0 are negative (F.2.2.1). Without a jump, of which
 * no processor could foresee where it goes. */
static int extend(int bits, int size)
{
	int negative = -(bits < 1 << size >> 1);

	return bits + (negative & (1 - (1 << size)));
}

/* What `bits`, LOOK of them, are if they begin with a code of `length` for `value`. */
static struct symbol symbol(unsigned bits, int length, uint8_t value)
{
	int size = value & 15, rest = LOOK - length - size;
	struct symbol s = { .bits = (uint8_t)(length + size), .run = value >> 4, .what = SIZE };

	if (!size) {
		s.what = s.run == 15 ? ZEROS : s.run ? WRONG : END;
	} else if (rest < 0) {
		s.value = (int16_t)size;
	} else {
		s.what = COEFFICIENT;
		s.value = (int16_t)extend((int)(bits >> rest) & ((1 << size) - 1), size);
	}
	return s;
}

/* All that a code of LOOK bits at most may begin. */
static void look_up(struct codes *c, unsigned code, int length, uint8_t value)
{
	unsigned n = 1U << (LOOK - length), first = code * n & ((1 << LOOK) - 1);

	for (unsigned i = first; i < first + n; i++)
		c->look[i] = symbol(i, length, value);
}

/* Codes of each length follow each other, and are in order (annex C). libjpeg has looked whether
 * there are too many. */
static void make_codes(struct codes *c, const JHUFF_TBL *from)
{
	int code = 0, n = 0;

	memcpy(c->values, from->huffval, sizeof(c->values));
	for (int length = 1; length <= LENGTHS; length++, code <<= 1) {
		c->offset[length] = n - code;
		for (int i = 0; i < from->bits[length]; i++, n++, code++)
			if (length <= LOOK)
				look_up(c, (unsigned)code, length, c->values[n & 255]);
		c->last[length] = from->bits[length] ? code - 1 : -1;
	}
	c->last[LENGTHS + 1] = INT32_MAX;
}

/* Of a symbol that is left out no more than the code has to be known. */
static int known_bits(struct symbol s)
{
	return s.what == SIZE ? s.bits - s.value : s.bits;
}

/* As many as are known. */
static struct leap leap(const struct codes *c, unsigned bits)
{
	struct leap l = { 0 };

	for (;;) {
		struct symbol s = c->look[(bits << l.bits & ((1 << SKIP) - 1)) >> (SKIP - LOOK)];
		unsigned n = s.what == ZEROS ? 16 : s.run + 1U;

		if (s.what == LONG || s.what == WRONG || l.bits + known_bits(s) > SKIP ||
		    l.n + n >= BLOCK)
			return l;
		l.bits = (uint8_t)(l.bits + s.bits);
		l.end = s.what == END;
		if (l.end)
			return l;
		l.n = (l.n + n) & 127;
	}
}

/* ---- bits ---- */

static bool has_ff(uint64_t v)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);

	return (~v - ones) & v & ones << 7;
}

/* Up to a marker, in front of which it stays: 0xff that no 0 follows. */
static void fill_bytes(struct bits *b)
{
	while (b->left >= 0 && b->left <= 56 && b->p < b->end) {
		uint64_t byte = *b->p;

		if (byte == 0xff && (b->end - b->p < 2 || b->p[1]))
			return;
		b->p += byte == 0xff ? 2 : 1;
		b->next |= byte << (56 - b->left);
		b->left += 8;
	}
}

static inline void fill(struct bits *b)
{
	uint64_t v;

	if (b->left < 0 || b->end - b->p < (ptrdiff_t)sizeof(v)) {
		fill_bytes(b);
		return;
	}
	memcpy(&v, b->p, sizeof(v));
	v = be64toh(v);
	if (has_ff(v)) {
		fill_bytes(b);
		return;
	}
	/* Bits of a byte that has no room yet come again, and are the same. */
	b->next |= v >> b->left;
	b->p += (63 - b->left) >> 3;
	b->left |= 56;
}

static inline void need(struct bits *b, int n)
{
	if (__builtin_expect(b->left < n, 0))
		fill(b);
}

static inline unsigned look(const struct bits *b, int n)
{
	return (unsigned)(b->next >> (64 - n));
}

static inline void use(struct bits *b, int n)
{
	b->next <<= n;
	b->left -= n;
}

static inline int number(struct bits *b, int size)
{
	int v;

	if (!size)
		return 0;
	need(b, size);
	v = extend((int)look(b, size), size);
	use(b, size);
	return v;
}

/* A code that is longer than LOOK; negative: it is none. */
static int long_code(struct bits *b, const struct codes *c)
{
	int length = LOOK + 1, code;

	need(b, LENGTHS);
	while ((code = (int)look(b, length)) > c->last[length])
		length++;
	if (length > LENGTHS)
		return -1;
	use(b, length);
	return c->values[(code + c->offset[length]) & 255];
}

/* Of SIZE, whose bits come next. */
static inline int value_of(const struct bits *b, struct symbol s)
{
	return extend((int)look(b, s.bits) & ((1 << s.value) - 1), s.value);
}

/* ---- blocks ---- */

/* The difference to the block before. */
static inline bool read_dc(struct bits *b, const struct codes *c, int *ret)
{
	struct symbol s;
	int size;

	need(b, MOST);
	s = c->look[look(b, LOOK)];
	if (s.what == LONG) {
		size = long_code(b, c);
		if (size < 0)
			return false;
		*ret = number(b, size & 15);
		return true;
	}
	*ret = s.what == SIZE ? value_of(b, s) : s.value;
	use(b, s.bits);
	return true;
}

/* What is not wanted, or lies behind the block, is nowhere. */
static inline void put(JCOEF *to, int k, int keep, int value)
{
	if (k <= keep)
		to[natural[k]] = (JCOEF)value;
}

/* One that is not looked up, from place `k` on: the next place, or -1. */
static int read_long(struct bits *b, const struct codes *c, int k, int keep, JCOEF *to)
{
	int value = long_code(b, c);

	if (value == 0)
		return BLOCK;
	if (value < 0 || !(value & 15))
		return value == 0xf0 ? k + 16 : -1;
	k += value >> 4;
	put(to, k, keep, number(b, value & 15));
	return k + 1;
}

/* False: this is no block. */
static inline bool read_ac(struct bits *b, const struct codes *c, const struct leap *leaps,
			   int keep, JCOEF *to)
{
	int k = 1;

	while (k < BLOCK) {
		struct symbol s;

		need(b, MOST);
		if (k > keep) {
			struct leap l = leaps[look(b, SKIP)];

			if (__builtin_expect(l.bits && k + l.n < BLOCK, 1)) {
				use(b, l.bits);
				if (l.end)
					return true;
				k += l.n;
				continue;
			}
		}
		s = c->look[look(b, LOOK)];
		if (__builtin_expect(s.what == COEFFICIENT, 1)) {
			use(b, s.bits);
			k += s.run;
			put(to, k++, keep, s.value);
		} else if (s.what == SIZE) {
			k += s.run;
			put(to, k++, keep, value_of(b, s));
			use(b, s.bits);
		} else if (s.what == END) {
			use(b, s.bits);
			return true;
		} else if (s.what == ZEROS) {
			use(b, s.bits);
			k += 16;
		} else {
			k = s.what == LONG ? read_long(b, c, k, keep, to) : -1;
			if (k < 0)
				return false;
		}
	}
	return k == BLOCK;
}

/* ---- units: blocks of all components that lie at the same place ---- */

static bool read_unit(struct jpeg_huffman *h, j_decompress_ptr d, JBLOCKROW *to)
{
	struct bits b = h->bits;

	for (int i = 0; i < d->blocks_in_MCU; i++) {
		int in = d->MCU_membership[i], difference;
		const jpeg_component_info *c = d->cur_comp_info[in];
		JCOEF *block = to[i][0];

		if (!read_dc(&b, &h->codes[0][c->dc_tbl_no], &difference))
			return false;
		h->dc[in] += difference;
		block[0] = (JCOEF)h->dc[in];
		if (block[0] != h->dc[in] || !read_ac(&b, &h->codes[1][c->ac_tbl_no],
						      h->leaps[c->ac_tbl_no], h->keep[in], block))
			return false;
	}
	h->bits = b;
	return b.left >= 0;
}

/* Nothing is left but what fills a byte, and the marker comes at once. */
static bool ends_with(const struct bits *b, unsigned marker)
{
	return b->left < 8 && b->end - b->p >= 2 && b->p[0] == 0xff && b->p[1] == marker;
}

static bool restart(struct jpeg_huffman *h, j_decompress_ptr d)
{
	if (!ends_with(&h->bits, RST0 + (h->restarts++ & 7)))
		return false;
	h->bits = (struct bits){ .p = h->bits.p + 2, .end = h->bits.end };
	memset(h->dc, 0, sizeof(h->dc));
	h->in_interval = d->restart_interval;
	return true;
}

/* libjpeg goes on behind the scan, where it knows of the marker only. */
static bool finish(struct jpeg_huffman *h, j_decompress_ptr d)
{
	d->src->next_input_byte = h->bits.p;
	d->src->bytes_in_buffer = (size_t)(h->bits.end - h->bits.p);
	return ends_with(&h->bits, EOI);
}

static boolean decode_unit(j_decompress_ptr d, JBLOCKROW *to)
{
	struct jpeg_huffman *h = container_of(d->entropy, struct jpeg_huffman, decoder);
	bool found = !h->lost;

	if (found && d->restart_interval && !h->in_interval)
		found = restart(h, d);
	found = found && read_unit(h, d, to);
	h->in_interval--;
	if (found && !--h->units)
		found = finish(h, d);
	h->lost = !found;
	return found;
}

/* ---- life ---- */

static bool is_ours(const struct jpeg_decompress_struct *d)
{
	bool ours = !d->progressive_mode && !d->arith_code && d->data_precision == 8 &&
		    d->comps_in_scan == d->num_components && !d->Ss && d->Se == BLOCK - 1 &&
		    !d->unread_marker;

	for (int i = 0; ours && i < d->comps_in_scan; i++) {
		const jpeg_component_info *c = d->cur_comp_info[i];

		ours = d->dc_huff_tbl_ptrs[c->dc_tbl_no] && d->ac_huff_tbl_ptrs[c->ac_tbl_no];
	}
	return ours;
}

static int last_wanted(const jpeg_component_info *c)
{
	if (!c->component_needed)
		return 0;
	switch (c->DCT_scaled_size) {
	case 1:
		return 0;
	case 2:
		return 4;
	case 4:
		return 24;
	default:
		return BLOCK - 1;
	}
}

static void prepare(struct jpeg_huffman *h, const struct jpeg_decompress_struct *d)
{
	for (int i = 0; i < d->comps_in_scan; i++) {
		const jpeg_component_info *c = d->cur_comp_info[i];
		int ac = c->ac_tbl_no;

		make_codes(&h->codes[0][c->dc_tbl_no], d->dc_huff_tbl_ptrs[c->dc_tbl_no]);
		make_codes(&h->codes[1][ac], d->ac_huff_tbl_ptrs[ac]);
		h->keep[i] = last_wanted(c);
		for (unsigned k = 0; h->keep[i] < BLOCK - 1 && k < 1 << SKIP; k++)
			h->leaps[ac][k] = leap(&h->codes[1][ac], k);
	}
}

struct jpeg_huffman *jpeg_huffman_begin(j_decompress_ptr d, const uint8_t *end)
{
	struct jpeg_huffman *h = is_ours(d) ? calloc(1, sizeof(*h)) : NULL;

	if (!h)
		return NULL;
	prepare(h, d);
	h->bits = (struct bits){ .p = d->src->next_input_byte, .end = end };
	h->in_interval = d->restart_interval;
	h->units = (uint64_t)d->MCUs_per_row * d->MCU_rows_in_scan;
	h->decoder = *d->entropy;
	h->decoder.decode_mcu = decode_unit;
	d->entropy = &h->decoder;
	d->src->bytes_in_buffer = (size_t)(end - d->src->next_input_byte);
	return h;
}

bool jpeg_huffman_is_lost(const struct jpeg_huffman *h)
{
	return h->lost;
}

void jpeg_huffman_free(struct jpeg_huffman *h)
{
	free(h);
}
