/* SPDX-License-Identifier: Apache-2.0 */
#include "image/shared.h"

#include <stdatomic.h>
#include <stdlib.h>

struct image_shared {
	struct image image; /* first: it goes by this address */
	atomic_uint owners;
};

struct image *image_shared_create(void)
{
	struct image_shared *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	atomic_init(&s->owners, 1);
	return &s->image;
}

void image_shared_take(struct image *image)
{
	atomic_fetch_add_explicit(&((struct image_shared *)image)->owners, 1, memory_order_relaxed);
}

void image_shared_drop(struct image *image)
{
	struct image_shared *s = (struct image_shared *)image;

	if (!s || atomic_fetch_sub_explicit(&s->owners, 1, memory_order_acq_rel) != 1)
		return;
	image_free(image);
	free(s);
}
