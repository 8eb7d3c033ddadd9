/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The one thing that metadata tell of a picture's pixels: how it was held. Read as Pillow does,
 * from EXIF and, where that says nothing, from XMP. Pure; any bytes will do.
 */

#include <stddef.h>
#include <stdint.h>

#define EXIF_SILENT 0 /* says nothing of it */

/* Of a TIFF structure, with or without "Exif\0\0" before it: 1 to 8, where what is none of these
 * is 1; or EXIF_SILENT. */
unsigned exif_orientation(const uint8_t *p, size_t n);
/* The same of XMP, which is XML. */
unsigned xmp_orientation(const uint8_t *p, size_t n);
