/* SPDX-License-Identifier: Apache-2.0 */
/* Readers of all kinds, by their table of functions; and the one of a picture in memory. */
#include "image/reader.h"

#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "image/chain.h"

#define SKIP_ROWS 8

struct memory {
	struct image_reader reader;
	const struct image *image;
};

const struct image_info *image_reader_info(const struct image_reader *r)
{
	return &r->info;
}

const struct image_palette *image_reader_palette(const struct image_reader *r)
{
	return r->palette;
}

void image_reader_scale(struct image_reader *r, uint32_t width, uint32_t height)
{
	assert(!r->row);
	if (r->ops->scale)
		r->ops->scale(r, width, height);
}

int image_reader_rows(struct image_reader *r, uint8_t *to, size_t stride, uint32_t n,
		      struct image_error *e)
{
	int rc;

	assert(n <= r->info.height - r->row);
	rc = n ? r->ops->rows(r, to, stride, n, e) : 0;
	if (!rc)
		r->row += n;
	return rc;
}

const uint8_t *image_reader_borrow(struct image_reader *r, uint32_t n, size_t *ret_stride)
{
	const uint8_t *rows = r->ops->here ? r->ops->here(r, ret_stride) : NULL;

	assert(n <= r->info.height - r->row);
	if (rows)
		r->row += n;
	return rows;
}

static int read_away(struct image_reader *r, uint32_t n, struct image_error *e)
{
	size_t stride = (size_t)r->info.width * image_pixel(r->info.mode);
	uint8_t *rows;
	int rc = 0;

	stride = ALIGN_UP(stride, IMAGE_ALIGN);
	rows = aligned_alloc(IMAGE_ALIGN, stride * SKIP_ROWS);
	if (!rows)
		return image_fail(e, IMAGE_NO_MEMORY, "there is no memory to read a picture");
	for (uint32_t i = 0; !rc && i < n; i += SKIP_ROWS)
		rc = image_reader_rows(r, rows, stride, MIN(n - i, SKIP_ROWS), e);
	free(rows);
	return rc;
}

int image_reader_skip(struct image_reader *r, uint32_t n, struct image_error *e)
{
	int rc;

	assert(n <= r->info.height - r->row);
	if (n && !r->ops->skip)
		return read_away(r, n, e);
	rc = n ? r->ops->skip(r, n, e) : 0;
	if (!rc)
		r->row += n;
	return rc;
}

void image_reader_close(struct image_reader *r)
{
	if (r)
		r->ops->close(r);
}

static int memory_rows(struct image_reader *r, uint8_t *to, size_t stride, uint32_t n,
		       struct image_error *e _unused_)
{
	const struct image *image = container_of(r, struct memory, reader)->image;
	size_t bytes = (size_t)image->width * image_pixel(image->mode);

	for (uint32_t i = 0; i < n; i++)
		memcpy(to + i * stride, image->pixels + (r->row + i) * image->stride, bytes);
	return 0;
}

static int memory_skip(struct image_reader *r _unused_, uint32_t n _unused_,
		       struct image_error *e _unused_)
{
	return 0;
}

static const uint8_t *memory_here(const struct image_reader *r, size_t *ret_stride)
{
	const struct image *image = container_of(r, struct memory, reader)->image;

	*ret_stride = image->stride;
	return image->pixels + r->row * image->stride;
}

static void memory_close(struct image_reader *r)
{
	free(container_of(r, struct memory, reader));
}

static const struct image_reader_ops memory_ops = {
	.rows = memory_rows,
	.skip = memory_skip,
	.here = memory_here,
	.close = memory_close,
};

int image_reader_of(const struct image *image, uint8_t orientation, struct image_reader **ret,
		    struct image_error *e)
{
	struct memory *m = calloc(1, sizeof(*m));

	*ret = NULL;
	if (!m)
		return image_fail(e, IMAGE_NO_MEMORY, "there is no memory for a reader");
	m->reader.ops = &memory_ops;
	m->reader.info = (struct image_info){ IMAGE_FORMATS, image->mode, image->width,
					      image->height, orientation };
	m->reader.palette = &image->palette;
	m->image = image;
	*ret = &m->reader;
	return 0;
}
