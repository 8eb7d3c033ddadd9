/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * NVIDIA's decoder of JPEGs, into a GPU's memory. The library is looked for at run time; nothing of
 * it is needed to build this. What it makes is not bit for bit what libjpeg-turbo makes.
 *
 * Any thread, but for open and close; the thread's GPU is the one that open() saw. Files are
 * checked before (image/jpeg_baseline.h), and memory is the caller's to bound: the library is
 * taken to need some 6 bytes a pixel of the GPU's beside the pixels.
 */

#include "image/decode.h"

struct nvjpeg; /* opaque */
struct nvjpeg_state;

/* SCONCE_NVJPEG in the environment names another library. IMAGE_BAD, IMAGE_NO_MEMORY. */
int nvjpeg_open(struct nvjpeg **ret, struct image_error *e);
void nvjpeg_close(struct nvjpeg *n); /* NULL is fine */
/* "nvJPEG 12.4.0" */
const char *nvjpeg_name(const struct nvjpeg *n);

#define NVJPEG_PICTURE 1 /* not this picture */
#define NVJPEG_BROKEN 2  /* none any more */

/* Grey: a byte a pixel; RGB: three. Rows are dense, in the GPU's memory. The work is added to the
 * stream: until it is done, bytes, `to` and *ret_state stay; then give that back, also where this
 * failed. 0, or one of these with a sentence. */
int nvjpeg_decode(struct nvjpeg *n, void *stream, const uint8_t *bytes, size_t length,
		  const struct image_info *info, void *to, struct nvjpeg_state **ret_state,
		  struct image_error *e);
void nvjpeg_release(struct nvjpeg *n, struct nvjpeg_state *s); /* NULL is fine */
