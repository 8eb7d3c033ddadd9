/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The first frame of a GIF, on a canvas that is as large as it has to be. A palette that is all
 * grey in order is none, as in Pillow: then the mode is L.
 */
#include "image/file.h"

#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "image/convert.h"
#include "image/gif_lzw.h"

struct gif {
	const uint8_t *p, *end; /* reading goes on here */
	struct {
		const uint8_t *p;
		unsigned n; /* 0: grey */
	} colours;
	int transparent;              /* index, or -1 */
	uint32_t x, y, width, height; /* of the frame */
	bool interlaced;
};

static uint32_t u16(const uint8_t *p)
{
	return (uint32_t)p[1] << 8 | p[0];
}

static int ends(struct image_error *e)
{
	return image_fail(e, IMAGE_BAD, "the GIF ends before its first frame");
}

/* The next n bytes, or NULL. */
static const uint8_t *take(struct gif *g, size_t n)
{
	const uint8_t *p = g->p;

	if ((size_t)(g->end - p) < n)
		return NULL;
	g->p += n;
	return p;
}

/* The next block of data: its length, 0 at the end of a chain or of the file. */
static unsigned block(struct gif *g, const uint8_t **p)
{
	unsigned n = g->p < g->end ? *g->p++ : 0;

	*p = g->p;
	n = (unsigned)MIN((size_t)n, (size_t)(g->end - g->p));
	g->p += n;
	return n;
}

/* `flags` tell of 2 to 256 colours. NULL: the file ends. */
static int read_colours(struct gif *g, uint8_t flags, struct image_error *e)
{
	unsigned n = 2U << (flags & 7);
	const uint8_t *p = take(g, (size_t)n * 3);

	if (!p)
		return ends(e);
	g->colours.n = 0;
	for (unsigned i = 0; i < n; i++)
		if (p[i * 3] != i || p[i * 3 + 1] != i || p[i * 3 + 2] != i)
			g->colours.n = n;
	g->colours.p = p;
	return 0;
}

/* What is said of the next frame; other extensions say nothing of pixels. */
static int extension(struct gif *g, struct image_error *e)
{
	const uint8_t *kind = take(g, 1), *p;
	unsigned n;

	if (!kind)
		return ends(e);
	n = block(g, &p);
	if (*kind == 0xf9 && n) {
		if (n < 3 || (p[0] & 1 && n < 4))
			return image_fail(e, IMAGE_BAD,
					  "the GIF is damaged: its control of a "
					  "frame is too short");
		if (p[0] & 1)
			g->transparent = p[3];
	}
	/* Chains are left where Pillow leaves them, also where that is not their end. */
	if (*kind == 0xfe && !n)
		return 0;
	if (*kind == 0xff && n >= 11 && !memcmp(p, "NETSCAPE2.0", 11))
		block(g, &p);
	while (block(g, &p))
		;
	return 0;
}

static int frame(struct image_file *f, struct gif *g, struct image_error *e)
{
	struct image_info *info = &f->reader.info;
	const uint8_t *p = take(g, 9);
	int code = 0;

	if (!p)
		return ends(e);
	g->x = u16(p);
	g->y = u16(p + 2);
	g->width = u16(p + 4);
	g->height = u16(p + 6);
	g->interlaced = p[8] & 64;
	info->width = MAX(info->width, g->x + g->width);
	info->height = MAX(info->height, g->y + g->height);
	if (p[8] & 128)
		code = read_colours(g, p[8], e);
	if (!code && (!g->width || !g->height))
		return image_fail(e, IMAGE_BAD, "the first frame of the GIF has no pixels");
	return code;
}

static int find_frame(struct image_file *f, struct gif *g, struct image_error *e)
{
	for (;;) {
		const uint8_t *p = take(g, 1);
		int code = 0;

		if (!p || *p == ';')
			return image_fail(e, IMAGE_BAD, "the GIF has no frame");
		if (*p == ',')
			return frame(f, g, e);
		if (*p == '!')
			code = extension(g, e);
		if (code)
			return code;
	}
}

static void take_palette(struct image_file *f, const struct gif *g)
{
	struct image_palette *palette = &f->palette;

	f->reader.info.mode = g->colours.n ? IMAGE_P : IMAGE_L;
	palette->n = g->colours.n;
	for (unsigned i = 0; i < 256; i++) {
		if (i < palette->n)
			memcpy(palette->rgba[i], g->colours.p + (size_t)i * 3, 3);
		palette->rgba[i][3] = 255;
	}
	if (g->transparent < 0)
		return;
	palette->alpha = palette->n;
	palette->rgba[g->transparent][3] = 0;
	if (!palette->n)
		image_palette_key(palette, IMAGE_L, (const uint16_t[]){ (uint16_t)g->transparent },
				  1);
}

static bool gif_is(const uint8_t *p, size_t n)
{
	return n >= 6 && (!memcmp(p, "GIF87a", 6) || !memcmp(p, "GIF89a", 6));
}

static int gif_open(struct image_file *f, struct image_error *e)
{
	struct gif *g = f->state = calloc(1, sizeof(*g));
	const uint8_t *p;
	int code = 0;

	if (!g)
		return image_fail(e, IMAGE_NO_MEMORY, "there is no memory to read a GIF");
	g->p = f->p;
	g->end = f->p + f->n;
	g->transparent = -1;
	p = take(g, 13);
	if (!p)
		return ends(e);
	f->at_once = true;
	f->reader.info.width = u16(p + 6);
	f->reader.info.height = u16(p + 8);
	if (p[10] & 128)
		code = read_colours(g, p[10], e);
	if (!code)
		code = find_frame(f, g, e);
	if (code)
		return code;
	take_palette(f, g);
	return g->p < g->end ? 0 : ends(e);
}

static int decode(const struct gif *g, struct gif_lzw *l, struct image_error *e)
{
	l->bits = g->p[0];
	l->p = g->p + 1;
	l->end = g->end;
	l->width = g->width;
	l->height = g->height;
	l->interlaced = g->interlaced;
	switch (gif_lzw(l)) {
	case GIF_DONE:
		return 0;
	case GIF_TOO_SHORT:
		return image_fail(e, IMAGE_BAD, "the GIF ends too early");
	default:
		return image_fail(e, IMAGE_BAD,
				  "the GIF is damaged: it has a code without meaning");
	}
}

static int gif_all(struct image_file *f, uint8_t *to, size_t stride, struct image_error *e)
{
	const struct gif *g = f->state;
	struct gif_lzw *l = calloc(1, sizeof(*l));
	int code;

	if (!l)
		return image_fail(e, IMAGE_NO_MEMORY, "there is no memory to decode the GIF");
	for (uint32_t y = 0; y < f->reader.info.height; y++)
		memset(to + y * stride, MAX(g->transparent, 0), f->reader.info.width);
	l->to = to + g->y * stride + g->x;
	l->stride = stride;
	code = decode(g, l, e);
	free(l);
	return code;
}

static void gif_close(struct image_file *f)
{
	free(f->state);
}

const struct image_codec image_codec_gif = {
	.format = IMAGE_GIF,
	.name = "GIF",
	.is = gif_is,
	.open = gif_open,
	.all = gif_all,
	.close = gif_close,
};
