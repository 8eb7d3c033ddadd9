/* SPDX-License-Identifier: Apache-2.0 */
#include "image/plan.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define MEMORY_MAX                                                                                 \
	((size_t)1 << 30) /* of a run: what stands in it are rows, or a turned picture             \
			   */

static void start(struct image_plan *p, const struct image_chain *c, const struct image_info *info)
{
	p->chain = c;
	p->info = *info;
	p->kernels = image_kernels();
	p->stages[0] = (struct stage){ .ops = &stage_source,
				       .mode = info->mode,
				       .width = info->width,
				       .height = info->height };
	p->n = 1;
	p->by = 1;
}

/* From what is wanted in the end down to what must be read; then up again, as each stage makes its
 * rows from those that the one below makes in fact. */
static int settle(struct image_plan *p, struct image_error *e)
{
	struct stage *last = &p->stages[p->n - 1];
	struct window need = { 0, 0, last->width, last->height };

	for (unsigned i = p->n - 1; i; i--) {
		struct stage *s = &p->stages[i];
		int rc;

		s->win = need;
		rc = s->ops->settle(s, s - 1, &need, e);
		if (rc)
			return rc;
	}
	/* A reader reads whole rows. */
	p->stages[0].win = (struct window){ 0, need.y0, p->stages[0].width, need.y1 };
	for (unsigned i = 1; i < p->n; i++) {
		const struct stage *s = &p->stages[i];

		if (s->ops->place)
			s->ops->place(&p->stages[i], &p->stages[i - 1]);
		p->result.pixels = MAX(p->result.pixels,
				       (uint64_t)window_width(s) * window_height(s));
	}
	return 0;
}

static int add_up_memory(struct image_plan *p, struct image_error *e)
{
	size_t sum = 0;

	for (unsigned i = 1; i < p->n; i++) {
		size_t bytes = p->stages[i].ops->memory(&p->stages[i], &p->stages[i - 1]);

		p->places[i] = sum;
		if (__builtin_add_overflow(sum, ALIGN_UP(bytes, IMAGE_ALIGN), &sum) ||
		    sum > MEMORY_MAX)
			return image_fail(e, IMAGE_TOO_LARGE,
					  "the picture of %u × %u is too large for these steps",
					  p->info.width, p->info.height);
	}
	p->places[p->n] = sum;
	if (p->result.tensor)
		sum += stage_rows_memory(&p->stages[p->n - 1], PLAN_ROWS);
	p->result.memory = sum;
	return 0;
}

static int set_result(struct image_plan *p, struct image_error *e)
{
	const struct stage *s = &p->stages[p->n - 1];
	struct image_result *r = &p->result;
	unsigned bands = image_bands(s->mode);
	size_t each = r->tensor ? tensor_element_size(&p->tensor) * bands : image_pixel(s->mode);

	r->mode = s->mode;
	r->width = s->width;
	r->height = s->height;
	r->element = p->tensor.element;
	memcpy(r->shape,
	       p->tensor.last ? (uint32_t[]){ s->height, s->width, bands }
			      : (uint32_t[]){ bands, s->height, s->width },
	       sizeof(r->shape));
	if (__builtin_mul_overflow(each, (size_t)s->width, &r->bytes) ||
	    __builtin_mul_overflow(r->bytes, (size_t)s->height, &r->bytes))
		return image_fail(e, IMAGE_TOO_LARGE, "a picture of %u × %u is too large", s->width,
				  s->height);
	return 0;
}

static int build(struct image_plan *p, const struct image_chain *c, struct image_error *e)
{
	for (size_t i = 0; i < c->n; i++) {
		int rc = plan_step(p, &c->steps[i], e);

		if (rc)
			return rc;
	}
	return 0;
}

int image_plan_create(const struct image_chain *c, const struct image_info *info,
		      struct image_plan **ret, struct image_error *e)
{
	struct image_plan *p;
	int rc = image_chain_check(c, e);

	*ret = NULL;
	if (rc)
		return rc;
	p = calloc(1, sizeof(*p));
	if (!p)
		return image_fail(e, IMAGE_NO_MEMORY, "there is no memory for a plan");
	start(p, c, info);
	rc = build(p, c, e);
	rc = rc ? rc : set_result(p, e);
	rc = rc ? rc : settle(p, e);
	rc = rc ? rc : add_up_memory(p, e);
	if (rc) {
		image_plan_free(p);
		return rc;
	}
	*ret = p;
	return 0;
}

void image_plan_free(struct image_plan *p)
{
	for (unsigned i = 0; p && i < p->n; i++)
		if (p->stages[i].ops->finish)
			p->stages[i].ops->finish(&p->stages[i]);
	free(p);
}

const struct image_result *image_plan_result(const struct image_plan *p)
{
	return &p->result;
}
