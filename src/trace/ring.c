/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/ring.h"

#include "base/mem.h"

/* Before each span lies its length. */
#define RING_HEAD sizeof(uint32_t)

void span_ring_init(struct span_ring *r, size_t size)
{
	*r = (struct span_ring){ .p = mem_alloc(size), .size = size };
}

void span_ring_finish(struct span_ring *r)
{
	free(r->p);
	*r = (struct span_ring){ 0 };
}

/* Bytes that lie from `at` to the end of the memory go first. */
static size_t ring_first(const struct span_ring *r, size_t at, size_t n)
{
	return MIN(n, r->size - at);
}

static void ring_write(struct span_ring *r, const void *p, size_t n)
{
	size_t at = (r->from + r->used) % r->size, first = ring_first(r, at, n);

	memcpy(r->p + at, p, first);
	memcpy(r->p, (const char *)p + first, n - first);
	r->used += n;
}

static void ring_read(const struct span_ring *r, size_t skip, void *p, size_t n)
{
	size_t at = (r->from + skip) % r->size, first = ring_first(r, at, n);

	memcpy(p, r->p + at, first);
	memcpy((char *)p + first, r->p, n - first);
}

bool span_ring_put(struct span_ring *r, struct slice span)
{
	uint32_t n = (uint32_t)span.n;

	if (span.n > UINT32_MAX - RING_HEAD || span.n + RING_HEAD > r->size - r->used)
		return false;
	ring_write(r, &n, RING_HEAD);
	ring_write(r, span.p, span.n);
	r->n++;
	return true;
}

unsigned span_ring_take(struct span_ring *r, unsigned n_max, struct buf *out)
{
	unsigned taken = 0;

	while (r->n && taken < n_max) {
		uint32_t n;
		char *place;

		ring_read(r, 0, &n, RING_HEAD);
		assert(RING_HEAD + n <= r->used);
		place = n <= out->max - out->n ? buf_reserve(out, n) : NULL;
		if (!place)
			break;
		ring_read(r, RING_HEAD, place, n);
		buf_added(out, n);
		r->from = (r->from + RING_HEAD + n) % r->size;
		r->used -= RING_HEAD + n;
		r->n--;
		taken++;
	}
	return taken;
}
