/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * From the bytes of a file to pixels: JPEG, PNG, WebP, GIF (its first frame) and BMP, told from
 * each other by their first bytes. Rows come from the top down, as many as one asks for, so a
 * large JPEG or PNG never stands in memory as a whole; formats that cannot be read that way are
 * decoded at the first row that is asked for, within the limits.
 *
 * What is decoded equals what Pillow's Image.open().load() has, mode included; docs/handlers.md has
 * the few files of which that is not so. Orientation is only told, as in Pillow, not applied.
 *
 * Limits are checked from the head, before memory for pixels is taken. A reader is for one thread;
 * the bytes must outlive it.
 */

#include "image/image.h"

enum image_format { IMAGE_JPEG, IMAGE_PNG, IMAGE_WEBP, IMAGE_GIF, IMAGE_BMP, IMAGE_FORMATS };

struct image_limits {
	uint64_t pixels; /* width * height; 0: the default of 179 million, Pillow's own */
	uint64_t memory; /* bytes that decoding may take beside the rows; 0: 1 GiB */
};

struct image_info {
	enum image_format format;
	enum image_mode mode;
	uint32_t width, height;
	uint8_t orientation; /* EXIF's, 1 to 8; 1 where there is none */
};

struct image_reader; /* opaque */

/* "JPEG"; "picture" for IMAGE_FORMATS, which is one that was in no file. Never NULL. */
const char *image_format_name(enum image_format format);

/* Do the first bytes say that it is one of these formats? */
bool image_is_known(const void *bytes, size_t n);
/* Reads the head. `limits` NULL: the defaults. 0, or negative and *ret NULL. */
int image_open(const void *bytes, size_t n, const struct image_limits *limits,
	       struct image_reader **ret, struct image_error *e);
/* Of what the rows will be; lives as long as the reader. */
const struct image_info *image_reader_info(const struct image_reader *r);
/* Valid once the first row was read. */
const struct image_palette *image_reader_palette(const struct image_reader *r);
/* Lets a JPEG be decoded at 1/2, 1/4 or 1/8 of its size, the least that has still at least these
 * numbers of pixels; other formats stay as they are. Not what Pillow gives without draft(), and of
 * most JPEGs not to the last bit what it gives with it: see image/jpeg_huffman.h. Before the first
 * row; image_reader_info() tells the size that came of it. */
void image_reader_scale(struct image_reader *r, uint32_t width, uint32_t height);
/* The next n rows. `to`: IMAGE_ALIGN-aligned, as `stride`; width * image_pixel() bytes of each are
 * written. A file that ends too early is an error, as in Pillow. */
int image_reader_rows(struct image_reader *r, uint8_t *to, size_t stride, uint32_t n,
		      struct image_error *e);
/* The next n rows where they are, of a picture in memory: as long as that is there, and nothing
 * behind their last pixels may be read. NULL: ask for them with image_reader_rows(); of no rows it
 * is so, too. */
const uint8_t *image_reader_borrow(struct image_reader *r, uint32_t n, size_t *ret_stride);
/* Reads n rows for nobody: faster, and what is damaged in them is found nevertheless. */
int image_reader_skip(struct image_reader *r, uint32_t n, struct image_error *e);
void image_reader_close(struct image_reader *r); /* NULL is fine */

/* All of it. */
int image_decode(const void *bytes, size_t n, const struct image_limits *limits, struct image *ret,
		 struct image_error *e);
