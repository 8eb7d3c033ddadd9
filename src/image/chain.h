/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Steps from a picture to what a model takes, as torchvision's Compose has them, done in one pass
 * over the rows: each is decoded, resized along its width, gathered into the rows of the result
 * and normalised, so a photograph of twelve million pixels never stands in memory as a whole. What
 * comes out equals, bit for bit, the steps done one after the other by Pillow and torchvision.
 *
 *     struct image_step steps[] = {
 *             { IMAGE_RESIZE_SHORT, .resize = { .height = 256, .filter = IMAGE_BILINEAR } },
 *             { IMAGE_CENTER_CROP, .box = { .width = 224, .height = 224 } },
 *             { IMAGE_TO_TENSOR },
 *             { IMAGE_NORMALIZE, .normalize = { 3, { 0.485f, … }, { 0.229f, … } } },
 *     };
 *
 * A plan is what a chain does with pictures of one size and mode. It is not changed by running:
 * threads may share it.
 */

#include "image/decode.h"

enum image_filter { /* as Pillow's, antialiased but for nearest */
		    IMAGE_NEAREST,
		    IMAGE_BOX,
		    IMAGE_BILINEAR,
		    IMAGE_HAMMING,
		    IMAGE_BICUBIC,
		    IMAGE_LANCZOS,
		    IMAGE_FILTERS
};

enum image_op {
	IMAGE_CONVERT,      /* to another mode: L, RGB, RGBA, …, as Pillow's convert() */
	IMAGE_ORIENT,       /* turned as EXIF says: ImageOps.exif_transpose() */
	IMAGE_RESIZE,       /* to width × height */
	IMAGE_RESIZE_SHORT, /* the shorter side to `height`, the longer in proportion, at most
			     * `width` if that is not 0: torchvision's Resize(int, max_size=) */
	IMAGE_CROP,         /* x, y, width, height; outside the picture are zeros */
	IMAGE_CENTER_CROP,  /* torchvision's: zeros around what is smaller */
	IMAGE_PAD,          /* x left, y top, width right, height bottom; each channel `fill` */
	IMAGE_FLIP_X,       /* left is right */
	IMAGE_FLIP_Y,
	IMAGE_TO_TENSOR, /* CHW floats from 0 to 1: ToTensor; ends the work on pixels */
	IMAGE_TO_BYTES,  /* CHW u8: PILToTensor */
	IMAGE_NORMALIZE, /* (x - mean) / std of each channel, in float32 */
	IMAGE_TO_HALF,   /* f32 to f16, to nearest even */
	IMAGE_TO_HWC,    /* channels last */
	IMAGE_OPS
};

struct image_step {
	enum image_op op;
	union {
		enum image_mode mode;
		struct {
			uint32_t width, height;
			enum image_filter filter;
		} resize;
		struct {
			int32_t x, y, width, height;
			uint8_t fill[4];
		} box;
		struct {
			unsigned n; /* 1, or as many as there are channels */
			float mean[4], std[4];
		} normalize;
	};
};

struct image_chain {
	const struct image_step *steps;
	size_t n;
	bool scaled; /* a JPEG may be decoded smaller, at least twice as large as it is resized
		      * to: faster, not exact. Sizes stay what they are without. */
	bool on_gpu; /* a JPEG may be decoded by the GPU that does the rest, not exact; not both */
};

enum image_element { IMAGE_U8, IMAGE_F16, IMAGE_F32 };

/* What comes out: a tensor of three dimensions; or, where the chain ends before one, an image. */
struct image_result {
	bool tensor;
	enum image_element element;
	uint32_t shape[3]; /* C H W, or H W C */
	size_t bytes;  /* dense; a client's picture may make it large: compare before taking it */
	size_t memory; /* bytes that a run takes beside these and the reader's */
	/* The most that any step makes of what is wanted: 1 × 20000 pixels, resized to 256, are
	 * thirteen hundred millions. Compare this, too. */
	uint64_t pixels;
	enum image_mode mode;
	uint32_t width, height;
};

struct image_plan; /* opaque */

/* Can the steps follow each other at all? 0, or IMAGE_BAD with the step's number in the sentence.
 * Sizes and modes are those of pictures: image_plan_create() finds what does not fit them. */
int image_chain_check(const struct image_chain *c, struct image_error *e);
/* The chain's steps must outlive the plan. */
int image_plan_create(const struct image_chain *c, const struct image_info *info,
		      struct image_plan **ret, struct image_error *e);
void image_plan_free(struct image_plan *p);
const struct image_result *image_plan_result(const struct image_plan *p);

/* To a tensor: `to` has result->bytes bytes, IMAGE_ALIGN-aligned. */
int image_plan_tensor(const struct image_plan *p, struct image_reader *from, void *to,
		      struct image_error *e);
/* To an image. */
int image_plan_image(const struct image_plan *p, struct image_reader *from, struct image *ret,
		     struct image_error *e);

/* A picture in memory as if it were a file: its rows, mode and size, and the orientation that was
 * told beside it (1: none). It must outlive the reader. */
int image_reader_of(const struct image *image, uint8_t orientation, struct image_reader **ret,
		    struct image_error *e);
