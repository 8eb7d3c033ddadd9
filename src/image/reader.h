/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a source of rows is to those that make one: a decoder of a format, or a picture in memory.
 * It embeds this struct first and fills in `ops` and `info`; the functions of decode.h check the
 * number of rows and call it.
 */

#include "image/decode.h"

struct image_reader_ops {
	/* The next n rows, of which there are as many; each is at a new place `stride` further. */
	int (*rows)(struct image_reader *r, uint8_t *to, size_t stride, uint32_t n,
		    struct image_error *e);
	/* The same for nobody; NULL: rows() does it, into memory that is thrown away. */
	int (*skip)(struct image_reader *r, uint32_t n, struct image_error *e);
	/* Row reader.row where it is, and the bytes from one to the next; NULL: rows stand nowhere.
	 */
	const uint8_t *(*here)(const struct image_reader *r, size_t *ret_stride);
	/* Changes `info`; NULL: there is only one size. */
	void (*scale)(struct image_reader *r, uint32_t width, uint32_t height);
	void (*close)(struct image_reader *r); /* frees the struct, too */
};

struct image_reader {
	const struct image_reader_ops *ops;
	struct image_info info;
	const struct image_palette *palette; /* mode P: set at the first row, or before */
	uint32_t row;                        /* the next one; kept by reader.c */
};
