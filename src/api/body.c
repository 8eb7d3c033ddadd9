/* SPDX-License-Identifier: Apache-2.0 */
#include "api/body.h"

#include "base/util.h"
#include "wire/http.h"

#define BODY_FIRST ((size_t)16384) /* for bodies of unknown length */

static int body_answer(int r)
{
	/* No memfd to be had is as good as no memory. */
	return r ? SINK_BUSY : SINK_OK;
}

static int body_begin(struct sink *s, uint64_t length)
{
	struct body *b = container_of(s, struct body, sink);
	size_t first = length == HTTP_LENGTH_UNKNOWN ? MIN(BODY_FIRST, b->max) : length;

	if (first > b->max)
		return SINK_TOO_LARGE;
	b->length = length;
	return body_answer(pool_alloc(b->pool, MAX(first, 1), &b->block));
}

static int body_room(struct sink *s, size_t want, char **ret, size_t *ret_n)
{
	struct body *b = container_of(s, struct body, sink);
	uint64_t limit = b->length == HTTP_LENGTH_UNKNOWN ? b->max : b->length;
	int r;

	(void)want;
	if (b->used >= limit)
		return SINK_TOO_LARGE;
	if (b->used == b->block.size) {
		r = pool_grow(b->pool, &b->block, b->used, MIN(b->block.size * 2, b->max));
		if (r)
			return body_answer(r);
	}
	*ret = b->block.p + b->used;
	*ret_n = MIN(b->block.size, limit) - b->used;
	return SINK_OK;
}

static void body_filled(struct sink *s, size_t n)
{
	container_of(s, struct body, sink)->used += n;
}

static void body_end(struct sink *s)
{
	(void)s;
}

static void body_abort(struct sink *s)
{
	body_finish(container_of(s, struct body, sink));
}

static const struct sink_ops body_ops = { .begin = body_begin,
					  .room = body_room,
					  .filled = body_filled,
					  .end = body_end,
					  .abort = body_abort };

void body_init(struct body *b, struct pool *pool, uint64_t max)
{
	*b = (struct body){ .sink.ops = &body_ops, .pool = pool, .max = max };
}

void body_finish(struct body *b)
{
	if (b->block.segment)
		pool_free(b->pool, &b->block);
	b->used = 0;
}

struct span body_span(const struct body *b, const char *p, size_t n)
{
	if (!n || !b->block.segment)
		return (struct span){ 0 };
	assert(p >= b->block.p && p + n <= b->block.p + b->block.size);
	return (struct span){ .segment = block_segment_id(&b->block),
			      .offset = b->block.offset + (uint64_t)(p - b->block.p),
			      .length = n };
}
