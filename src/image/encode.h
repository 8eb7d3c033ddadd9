/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* From pixels to the bytes of a file. Any thread. */

#include "base/buf.h"
#include "image/image.h"

/* Appends the file; what does not fit, out->overflowed tells. 0, IMAGE_BAD for a mode that the
 * format does not have, or IMAGE_NO_MEMORY. */
int image_encode_png(const struct image *image, struct buf *out, struct image_error *e);
int image_encode_jpeg(const struct image *image, unsigned quality, struct buf *out,
		      struct image_error *e);
