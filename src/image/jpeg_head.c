/* SPDX-License-Identifier: Apache-2.0 */
#include "image/jpeg_head.h"

#include <string.h>

#include "image/exif.h"

struct head {
	const uint8_t *p, *end;
	struct image_info *info;
	bool frame;         /* a frame header was read */
	unsigned exif, xmp; /* EXIF_SILENT, or the orientation that it tells */
	struct image_error *e;
};

static int bad(struct head *h, const char *what)
{
	return image_fail(h->e, IMAGE_BAD, "the JPEG is damaged: %s", what);
}

static bool begins(const uint8_t *p, size_t n, const char *with, size_t bytes)
{
	return n >= bytes && !memcmp(p, with, bytes);
}

static int frame_header(struct head *h, const uint8_t *p, size_t n)
{
	if (n < 6)
		return bad(h, "its frame header is too short");
	if (p[0] != 8)
		return image_fail(h->e, IMAGE_BAD,
				  "JPEGs of %u bits a sample cannot be read: 8 can", p[0]);
	switch (p[5]) {
	case 1:
		h->info->mode = IMAGE_L;
		break;
	case 3:
		h->info->mode = IMAGE_RGB;
		break;
	case 4:
		h->info->mode = IMAGE_CMYK;
		break;
	default:
		return image_fail(h->e, IMAGE_BAD,
				  "JPEGs of %u components cannot be read: 1, 3 and 4 can", p[5]);
	}
	h->info->height = (uint32_t)p[1] << 8 | p[2];
	h->info->width = (uint32_t)p[3] << 8 | p[4];
	h->frame = true;
	return 0;
}

/* EXIF that is longer than one segment goes on in the next; the orientation is at its begin. */
static void application(struct head *h, const uint8_t *p, size_t n)
{
	static const char xmp[] = "http://ns.adobe.com/xap/1.0/";

	if (begins(p, n, "Exif\0", 6) && h->exif == EXIF_SILENT)
		h->exif = exif_orientation(p, n);
	else if (begins(p, n, xmp, sizeof(xmp)))
		h->xmp = xmp_orientation(p + sizeof(xmp), n - sizeof(xmp));
}

static bool is_frame(uint8_t marker)
{
	return (marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 &&
		marker != 0xcc) ||
	       marker == 0xde;
}

/* Those without a length: restarts, begin and end, and what is reserved. */
static bool is_bare(uint8_t marker)
{
	return marker == 0xc8 || (marker >= 0xd0 && marker <= 0xd9) ||
	       (marker >= 0xf0 && marker <= 0xfd);
}

static int segment(struct head *h, uint8_t marker)
{
	const uint8_t *p = h->p + 2;
	size_t n;

	if (h->end - h->p < 2)
		return bad(h, "it ends within its head");
	n = (size_t)h->p[0] << 8 | h->p[1];
	n = n < 2 ? 0 : n - 2;
	if ((size_t)(h->end - p) < n)
		return bad(h, "it ends within its head");
	h->p = p + n;
	if (marker == 0xe1)
		application(h, p, n);
	return is_frame(marker) ? frame_header(h, p, n) : 0;
}

/* The next marker, over fill bytes and what lies between segments. -1: there is none any more;
 * 0: what follows 0xff is no marker. */
static int next_marker(struct head *h)
{
	while (h->end - h->p >= 2) {
		const uint8_t *p = h->p++;

		if (p[0] != 0xff || p[1] == 0xff)
			continue;
		if (p[1] >= 0xc0) {
			h->p = p + 2;
			return p[1];
		}
		if (p[1])
			return 0;
	}
	return -1;
}

int jpeg_head(const uint8_t *p, size_t n, struct image_info *info, struct image_error *e)
{
	struct head h = { .p = p + 2, .end = p + n, .info = info, .e = e };

	for (;;) {
		int marker = next_marker(&h), code;

		if (marker < 0)
			return bad(&h, "it has no picture in it");
		if (!marker)
			return bad(&h, "what should be a marker is none");
		code = is_bare((uint8_t)marker) ? 0 : segment(&h, (uint8_t)marker);
		if (code)
			return code;
		if (marker == 0xda)
			break;
	}
	if (!h.frame)
		return bad(&h, "it has no frame header");
	if (h.exif != EXIF_SILENT)
		info->orientation = (uint8_t)h.exif;
	else if (h.xmp != EXIF_SILENT)
		info->orientation = (uint8_t)h.xmp;
	return 0;
}
