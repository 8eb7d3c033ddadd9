/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A reader of a file, for those who decode a format. A codec reads the head in open(), which takes
 * no memory that grows with the picture; decode.c then checks the size against the limits, and
 * only after that pixels are asked for: rows from the top down, or, where `at_once` is set, the
 * whole picture, for which decode.c has checked and taken the memory.
 */

#include "image/reader.h"

struct image_file;

struct image_codec {
	enum image_format format;
	const char *name;
	bool (*is)(const uint8_t *p, size_t n); /* told by the first bytes */
	/* Fills in what it knows of reader.info, palette and at_once. Whatever it returns, close()
	 * is called in the end. */
	int (*open)(struct image_file *f, struct image_error *e);
	/* NULL: cannot. `by` is 1, 2, 4 or 8; changes width and height of reader.info. */
	void (*scale)(struct image_file *f, unsigned by);
	int (*rows)(struct image_file *f, uint8_t *to, size_t stride, uint32_t n,
		    struct image_error *e);
	int (*all)(struct image_file *f, uint8_t *to, size_t stride, struct image_error *e);
	void (*close)(struct image_file *f);
};

struct image_file {
	struct image_reader reader; /* its orientation is 1 before open(), its palette is ours */
	const struct image_codec *codec;
	const uint8_t *p; /* the bytes */
	size_t n;
	struct image_limits limits; /* none is 0 */
	struct image_palette palette;
	bool at_once;
	struct image whole; /* where at_once: once it is decoded */
	void *state;        /* the codec's own */
};

extern const struct image_codec image_codec_jpeg, image_codec_png, image_codec_webp,
	image_codec_gif, image_codec_bmp;

/* Bytes that decoding takes beside the rows, against the limit: 0 or IMAGE_TOO_LARGE. */
int image_file_afford(const struct image_file *f, uint64_t bytes, struct image_error *e);
