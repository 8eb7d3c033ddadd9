/* SPDX-License-Identifier: Apache-2.0 */
/* A plan done with one picture. */
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "image/plan.h"

static int run_start(struct run *r, const struct image_plan *p, struct image_reader *from,
		     uint8_t **memory, struct image_error *e)
{
	const struct image_info *info = image_reader_info(from);

	*memory = NULL;
	if (p->by > 1)
		image_reader_scale(from, p->info.width / p->by, p->info.height / p->by);
	if (info->width != p->stages[0].width || info->height != p->stages[0].height ||
	    info->mode != p->stages[0].mode)
		return image_fail(e, IMAGE_BAD,
				  "the picture is not of the size or mode planned for");
	*memory = aligned_alloc(IMAGE_ALIGN, ALIGN_UP(p->result.memory, IMAGE_ALIGN) + IMAGE_ALIGN);
	if (!*memory)
		return image_fail(e, IMAGE_NO_MEMORY, "there is no memory to work on a picture");
	*r = (struct run){ .stages = p->stages, .from = from };
	for (unsigned i = 0; i < p->n; i++)
		r->at[i].memory = *memory + p->places[i];
	return 0;
}

/* What is not needed is read nevertheless: a file that is damaged there is damaged. */
static int run_finish(struct run *r, struct image_error *e)
{
	return image_reader_skip(r->from, r->stages[0].height - r->stages[0].win.y1, e);
}

static int run_tensor(struct run *r, const struct image_plan *p, uint8_t *memory, void *to,
		      struct image_error *e)
{
	const struct stage *last = &p->stages[p->n - 1];
	size_t stride = stage_stride(last);

	for (uint32_t y = 0; y < last->height; y += PLAN_ROWS) {
		uint32_t n = MIN(last->height - y, PLAN_ROWS);
		int rc = stage_rows(r, p->n - 1, memory, stride, n, e);

		if (rc)
			return rc;
		for (uint32_t j = 0; j < n; j++)
			tensor_row(&p->tensor, p->kernels, memory + j * stride, y + j, last->width,
				   last->height, to);
	}
	return run_finish(r, e);
}

int image_plan_tensor(const struct image_plan *p, struct image_reader *from, void *to,
		      struct image_error *e)
{
	_cleanup_(freep) uint8_t *memory = NULL;
	struct run r;
	int rc;

	assert(p->result.tensor);
	rc = run_start(&r, p, from, &memory, e);
	return rc ? rc : run_tensor(&r, p, memory + p->places[p->n], to, e);
}

int image_plan_image(const struct image_plan *p, struct image_reader *from, struct image *ret,
		     struct image_error *e)
{
	_cleanup_(freep) uint8_t *memory = NULL;
	const struct image_palette *palette;
	struct image image = { 0 };
	struct run r;
	int rc;

	assert(!p->result.tensor);
	*ret = (struct image){ 0 };
	rc = run_start(&r, p, from, &memory, e);
	rc = rc ? rc : image_create(&image, p->result.mode, p->result.width, p->result.height, e);
	rc = rc ? rc : stage_rows(&r, p->n - 1, image.pixels, image.stride, image.height, e);
	rc = rc ? rc : run_finish(&r, e);
	if (rc) {
		image_free(&image);
		return rc;
	}
	palette = stage_palette(&r, p->n - 1);
	if (palette)
		image.palette = *palette;
	*ret = image;
	return 0;
}
