/* SPDX-License-Identifier: Apache-2.0 */
#include "image/jpeg_baseline.h"

#include <string.h>

#define DAMAGED "is not formed as it should be"
#define NOT_YCBCR "has colours that are not YCbCr"

enum { SOF0 = 0xc0, DHT = 0xc4, JPG = 0xc8, DAC = 0xcc, SOF15 = 0xcf, RST0 = 0xd0, RST7 = 0xd7 };
enum { SOI = 0xd8, EOI = 0xd9, SOS = 0xda, DQT = 0xdb, DRI = 0xdd, APP0 = 0xe0, APP14 = 0xee };
enum { APP15 = 0xef, COM = 0xfe };

struct walk {
	const uint8_t *p, *end;
	const struct image_info *info;
	unsigned components; /* of the frame; 0: there was none yet */
};

static const char *frame(struct walk *w, const uint8_t *p, size_t n)
{
	const struct image_info *info = w->info;

	unsigned components = info->mode == IMAGE_L ? 1 : 3;

	if (w->components || n != 6 + 3 * components || p[5] != components)
		return DAMAGED;
	if (p[0] != 8)
		return "has more than 8 bits a sample";
	if (((uint32_t)p[1] << 8 | p[2]) != info->height ||
	    ((uint32_t)p[3] << 8 | p[4]) != info->width)
		return DAMAGED;
	w->components = components;
	if (components == 1)
		return p[7] == 0x11 ? NULL : "has samples of an odd form";
	/* Without other marks libjpeg takes these names for colours. */
	if (p[6] == 'R' && p[9] == 'G' && p[12] == 'B')
		return NOT_YCBCR;
	return NULL;
}

static const char *segment(struct walk *w, uint8_t marker, const uint8_t *p, size_t n)
{
	if (marker == SOF0)
		return frame(w, p, n);
	if (marker == DHT || marker == DQT || marker == DRI || marker == COM ||
	    (marker >= APP0 && marker <= APP15 && marker != APP14))
		return NULL;
	if (marker == APP14) {
		bool adobe = n >= 12 && !memcmp(p, "Adobe", 5);

		return adobe && w->info->mode == IMAGE_RGB && p[11] != 1 ? NOT_YCBCR : NULL;
	}
	if (marker == SOS)
		return w->components && n == 4 + 2 * (size_t)w->components && p[0] == w->components
			       ? NULL
			       : "comes in several scans";
	return marker > SOF0 && marker <= SOF15 && marker != JPG && marker != DAC
		       ? "is not baseline"
		       : DAMAGED;
}

/* Up to the scan's data. */
static const char *head(struct walk *w)
{
	for (;;) {
		const uint8_t *p;
		const char *why;
		uint8_t marker;
		size_t n;

		if (w->end - w->p < 4 || w->p[0] != 0xff)
			return DAMAGED;
		if (w->p[1] == 0xff) { /* fills */
			w->p++;
			continue;
		}
		marker = w->p[1];
		p = w->p + 4;
		n = (size_t)w->p[2] << 8 | w->p[3];
		if (n < 2 || (size_t)(w->end - p) < n - 2)
			return DAMAGED;
		w->p = p + n - 2;
		why = segment(w, marker, p, n - 2);
		if (why || marker == SOS)
			return why;
	}
}

/* Behind it. */
static const char *scan(struct walk *w)
{
	for (;;) {
		size_t room = (size_t)(w->end - w->p);
		const uint8_t *p = room ? memchr(w->p, 0xff, room) : NULL;

		if (!p || w->end - p < 2)
			return "has no end";
		w->p = p[1] == 0xff ? p + 1 : p + 2;
		if (p[1] == EOI)
			return NULL;
		if (p[1] && p[1] != 0xff && (p[1] < RST0 || p[1] > RST7))
			return "comes in several scans";
	}
}

const char *jpeg_baseline(const uint8_t *p, size_t n, const struct image_info *info, size_t *ret)
{
	struct walk w = { .p = p + 2, .end = p + n, .info = info };
	const char *why;

	if (info->mode != IMAGE_L && info->mode != IMAGE_RGB)
		return "is CMYK";
	if (n < 4 || p[0] != 0xff || p[1] != SOI)
		return DAMAGED;
	why = head(&w);
	why = why ? why : scan(&w);
	*ret = why ? 0 : (size_t)(w.p - p);
	return why;
}
