/* SPDX-License-Identifier: Apache-2.0 */

/*
 * For tests in Python: decodes what comes on the standard input, one request after the other, and
 * writes what came of it.
 *
 *     decode MODE ROWS SCALE_W SCALE_H PIXELS MEMORY N\n   then N bytes of a file
 *
 * MODE: to convert to, or `-`. ROWS: how many to ask for at a time, 0: image_decode(). The rest are
 * limits and a size to scale to; 0: none. The answer is one of
 *
 *     ok FORMAT MODE WIDTH HEIGHT ORIENTATION ALPHA COLOURS\n   and pixels, then 1024 bytes of
 * palette error CODE SENTENCE\n
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "image/convert.h"
#include "image/decode.h"

struct request {
	char mode[8];
	uint32_t rows, width, height;
	struct image_limits limits;
	size_t n;
	uint8_t *bytes; /* in memory of its own size, so that a sanitizer sees what is beyond */
};

static int read_request(struct request *q)
{
	char line[256];

	if (!fgets(line, sizeof(line), stdin))
		return -1;
	if (sscanf(line,
		   "decode %7s %" SCNu32 " %" SCNu32 " %" SCNu32 " %" SCNu64 " %" SCNu64 " %zu\n",
		   q->mode, &q->rows, &q->width, &q->height, &q->limits.pixels, &q->limits.memory,
		   &q->n) != 7)
		return -1;
	q->bytes = malloc(q->n);
	return q->bytes && fread(q->bytes, 1, q->n, stdin) == q->n ? 0 : -1;
}

static int by_rows(struct image_reader *r, uint32_t rows, struct image *image,
		   struct image_error *e)
{
	const struct image_info *info = image_reader_info(r);
	int code = image_create(image, info->mode, info->width, info->height, e);

	for (uint32_t y = 0, n; !code && y < image->height; y += n) {
		n = MIN(rows, image->height - y);
		code = image_reader_rows(r, image->pixels + y * image->stride, image->stride, n, e);
	}
	image->palette = *image_reader_palette(r);
	if (code)
		image_free(image);
	return code;
}

static int decode(const struct request *q, struct image *image, struct image_info *info,
		  struct image_error *e)
{
	struct image_reader *r;
	int code = image_open(q->bytes, q->n, &q->limits, &r, e);

	if (code)
		return code;
	if (q->width)
		image_reader_scale(r, q->width, q->height);
	*info = *image_reader_info(r);
	if (q->rows)
		code = by_rows(r, q->rows, image, e);
	image_reader_close(r);
	return code || q->rows ? code : image_decode(q->bytes, q->n, &q->limits, image, e);
}

static image_convert_fn *converter(const char *mode, enum image_mode from, enum image_mode *to)
{
	for (*to = 0; *to < IMAGE_MODES; ++*to)
		if (!strcmp(mode, image_mode_name(*to)))
			return image_convert(from, *to);
	return NULL;
}

static int convert(const char *mode, struct image *image, struct image_error *e)
{
	enum image_mode to;
	image_convert_fn *f = converter(mode, image->mode, &to);
	struct image converted;
	int code;

	if (!f)
		return image_fail(e, IMAGE_BAD, "it cannot be converted to %s", mode);
	code = image_create(&converted, to, image->width, image->height, e);
	if (code)
		return code;
	for (uint32_t y = 0; y < image->height; y++)
		f(converted.pixels + y * converted.stride, image->pixels + y * image->stride,
		  image->width, &image->palette);
	image_free(image);
	*image = converted;
	return 0;
}

static void answer(const struct image *image, const struct image_info *info)
{
	size_t bytes = (size_t)image->width * image_pixel(image->mode);

	printf("ok %s %s %u %u %u %d %u\n", image_format_name(info->format),
	       image_mode_name(image->mode), image->width, image->height, info->orientation,
	       image->palette.alpha, image->palette.n);
	for (uint32_t y = 0; y < image->height; y++)
		fwrite(image->pixels + y * image->stride, 1, bytes, stdout);
	fwrite(image->palette.rgba, 1, sizeof(image->palette.rgba), stdout);
}

int main(void)
{
	struct request q = { 0 };

	while (read_request(&q) == 0) {
		struct image image = { 0 };
		struct image_info info = { 0 };
		struct image_error e;
		int code = decode(&q, &image, &info, &e);

		if (!code && q.mode[0] != '-')
			code = convert(q.mode, &image, &e);
		if (code)
			printf("error %d %s\n", code, e.text);
		else
			answer(&image, &info);
		fflush(stdout);
		image_free(&image);
		free(TAKE(q.bytes));
	}
	free(q.bytes);
	return 0;
}
