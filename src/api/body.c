/* SPDX-License-Identifier: Apache-2.0 */
#include "api/body.h"

#include "base/util.h"
#include "wire/http.h"

#define BODY_FIRST ((size_t)16384) /* for bodies of unknown length */
/* The least that is taken for one call of read(), so that most bodies are read in few. What that
 * does not fill is given back: thousands of clients that send a byte each do not use up the budget.
 */
#define BODY_STEP_MIN ((size_t)65536)
#define BODY_STEP_MAX ((size_t)262144)
#define BODY_STEPS 256 /* that the whole budget has */
/* What one takes of which nothing has arrived; of its first bytes it takes as many more at most. */
#define BODY_PROMISED ((size_t)1024)
#define BODY_MOVED ((size_t)4 << 20) /* what is longer does not move again and again */

static int body_answer(int r)
{
	/* No memfd to be had is as good as no memory. */
	return r ? SINK_BUSY : SINK_OK;
}

static uint64_t body_limit(const struct body *b)
{
	return b->length == HTTP_LENGTH_UNKNOWN ? b->max : b->length;
}

static size_t body_step(const struct body *b)
{
	return MIN(MAX(pool_limit(b->pool) / BODY_STEPS, BODY_STEP_MIN), BODY_STEP_MAX);
}

static int body_begin(struct sink *s, uint64_t length)
{
	struct body *b = container_of(s, struct body, sink);
	size_t room;

	b->length = length;
	if (length != HTTP_LENGTH_UNKNOWN && length > b->max)
		return SINK_TOO_LARGE;
	room = length == HTTP_LENGTH_UNKNOWN ? MIN(BODY_FIRST, b->max) : MAX(length, 1);
	return body_answer(pool_reserve(b->pool, room, MIN(room, BODY_PROMISED), &b->block));
}

/* To a larger block. What has arrived is copied, and nobody is served meanwhile: one that has
 * become long gets addresses for all that may come, so that this is the last time. */
static int body_move(struct body *b, uint64_t wanted)
{
	if (b->used < BODY_MOVED)
		return pool_grow(b->pool, &b->block, b->used, wanted);
	return pool_move(b->pool, &b->block, b->used, body_limit(b), wanted);
}

/* More of the block, or a larger one: what has arrived decides how much. Less will do where there
 * is not so much. */
static int body_more(struct body *b)
{
	uint64_t wanted = MIN(b->used + MAX(b->used * 3, body_step(b)), body_limit(b));
	int r;

	if (b->used == b->block.size)
		return body_move(b, wanted);
	r = pool_charge(b->pool, &b->block, MIN(wanted, b->block.size));
	return b->block.charged > b->used ? 0 : r;
}

/* Is there so little to be written to that more is to be taken? Of its first bytes a step at once.
 */
static bool body_is_full(const struct body *b)
{
	const struct block *k = &b->block;
	size_t step = body_step(b);

	return b->used == k->charged ||
	       (b->used < step && k->charged - b->used < MIN(k->size - b->used, step));
}

static int body_room(struct sink *s, size_t want, char **ret, size_t *ret_n)
{
	struct body *b = container_of(s, struct body, sink);
	uint64_t limit = body_limit(b);
	int r;

	(void)want;
	if (b->used >= limit)
		return SINK_TOO_LARGE;
	if (body_is_full(b)) {
		r = body_more(b);
		if (r)
			return body_answer(r);
	}
	*ret = b->block.p + b->used;
	*ret_n = MIN(b->block.charged, limit) - b->used;
	return SINK_OK;
}

static void body_filled(struct sink *s, size_t n)
{
	struct body *b = container_of(s, struct body, sink);
	size_t kept;

	b->used += n;
	if (b->used >= body_step(b))
		return;
	kept = (b->used + BODY_PROMISED - 1) / BODY_PROMISED * BODY_PROMISED;
	pool_uncharge(b->pool, &b->block, MIN(kept, b->block.size));
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
