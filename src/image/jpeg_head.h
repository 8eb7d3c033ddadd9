/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the markers before the first scan of a JPEG say, found without its library: nothing is
 * allocated, so a picture is judged before it costs anything. What counts as a head, and which
 * mode it makes, is as Pillow has it.
 */

#include "image/decode.h"

/* Fills in mode, size and orientation. 0 or IMAGE_BAD. */
int jpeg_head(const uint8_t *p, size_t n, struct image_info *info, struct image_error *e);
