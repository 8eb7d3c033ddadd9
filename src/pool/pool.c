/* SPDX-License-Identifier: Apache-2.0 */
#include "pool/pool.h"

#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/util.h"
#include "pool/buddy.h"
#include "pool/memfd.h"

#define POOL_PAGE ((size_t)4096)
#define POOL_IDLE_TRIMS 3 /* trims a segment stays empty before it goes */

struct segment {
	struct list link;
	uint32_t id;
	struct memfd memory;
	int read_only;
	bool private; /* one block, gone when freed */
	unsigned idle_trims;
	struct buddy buddy; /* shared segments */
};

struct pool {
	struct budget *budget;
	size_t segment_size;
	struct list segments;
	uint32_t next_id;
	void (*gone)(void *arg, uint32_t id);
	void *gone_arg;
	pool_closer *closer;
	void *closer_arg;
	struct pool_stats stats;
};

void pool_close_memory(struct pool *p, struct memfd memory, int read_only)
{
	if (p->closer) {
		p->closer(p->closer_arg, memory, read_only);
		return;
	}
	memfd_close(&memory);
	closep(&read_only);
}

static void segment_close(struct pool *p, struct segment *s)
{
	if (p->gone)
		p->gone(p->gone_arg, s->id);
	list_remove(&s->link);
	p->stats.segments--;
	p->stats.mapped_bytes -= s->memory.size;
	pool_close_memory(p, s->memory, s->read_only);
	buddy_finish(&s->buddy);
	free(s);
}

static int segment_open(struct pool *p, size_t size, bool private, struct segment **ret)
{
	struct segment *s = mem_new(struct segment);
	int r = memfd_open(&s->memory, "sconce-inbound", size, MEMFD_OURS);

	if (!r)
		r = s->read_only = memfd_read_only(&s->memory);
	if (r < 0) {
		memfd_close(&s->memory);
		free(s);
		return err_trace(r);
	}
	s->id = p->next_id++;
	s->private = private;
	if (!private)
		buddy_init(&s->buddy, size, POOL_BLOCK_MIN);
	list_push_back(&p->segments, &s->link);
	p->stats.segments++;
	p->stats.mapped_bytes += size;
	*ret = s;
	return 0;
}

int pool_create(struct pool **ret, struct budget *budget, size_t segment_size)
{
	struct pool *p = mem_new(struct pool);
	struct segment *first;
	int r;

	assert(segment_size >= (size_t)1 << 20 && !(segment_size & (segment_size - 1)));
	p->budget = budget;
	p->segment_size = segment_size;
	p->next_id = 1;
	list_init(&p->segments);
	r = segment_open(p, segment_size, false, &first);
	if (r < 0) {
		free(p);
		return err_trace(r);
	}
	*ret = p;
	return 0;
}

struct pool *pool_destroy(struct pool *p)
{
	if (!p)
		return NULL;
	assert(!p->stats.blocks);
	p->gone = NULL;
	while (!list_empty(&p->segments))
		segment_close(p, container_of(list_first(&p->segments), struct segment, link));
	free(p);
	return NULL;
}

static bool pool_alloc_in(struct segment *s, size_t n, struct block *ret)
{
	size_t offset, size;

	if (s->private || !buddy_alloc(&s->buddy, n, &offset, &size))
		return false;
	s->idle_trims = 0;
	*ret = (struct block){
		.segment = s, .p = s->memory.p + offset, .size = size, .offset = offset
	};
	return true;
}

static int pool_alloc_shared(struct pool *p, size_t n, struct block *ret)
{
	struct segment *s;
	int r;

	list_for_each (l, &p->segments)
		if (pool_alloc_in(container_of(l, struct segment, link), n, ret))
			return 0;
	r = segment_open(p, p->segment_size, false, &s);
	if (r < 0)
		return err_trace(r);
	return pool_alloc_in(s, n, ret) ? 0 : -EINVAL;
}

static int pool_alloc_private(struct pool *p, size_t n, struct block *ret)
{
	struct segment *s;
	int r = segment_open(p, n, true, &s);

	if (r < 0)
		return err_trace(r);
	*ret = (struct block){ .segment = s, .p = s->memory.p, .size = n };
	return 0;
}

static size_t pool_round(const struct pool *p, size_t n)
{
	size_t size = POOL_BLOCK_MIN;

	if (n > p->segment_size / 2)
		return ALIGN_UP(n, POOL_PAGE);
	while (size < n)
		size *= 2;
	return size;
}

/* A block of `size` bytes, `charged` of which are taken from the budget. */
static int pool_take(struct pool *p, size_t size, size_t charged, struct block *ret)
{
	int r;

	assert(charged <= size);
	*ret = BLOCK_NONE;
	if (!budget_take(p->budget, charged)) {
		p->stats.refused_total++;
		return POOL_FULL;
	}
	r = size > p->segment_size / 2 ? pool_alloc_private(p, size, ret)
				       : pool_alloc_shared(p, size, ret);
	if (r < 0) {
		budget_give(p->budget, charged);
		return err_trace(r);
	}
	ret->charged = charged;
	p->stats.blocks++;
	p->stats.allocations_total++;
	p->stats.used_bytes += charged;
	p->stats.reserved_bytes += size - charged;
	return 0;
}

uint64_t pool_limit(const struct pool *p)
{
	return p->budget->limit;
}

int pool_alloc(struct pool *p, size_t n, struct block *ret)
{
	size_t size = pool_round(p, MAX(n, 1));

	if (size < n) {
		*ret = BLOCK_NONE;
		p->stats.refused_total++;
		return POOL_FULL;
	}
	return pool_take(p, size, size, ret);
}

int pool_reserve(struct pool *p, size_t n, size_t first, struct block *ret)
{
	size_t size = pool_round(p, MAX(n, 1));

	assert(first && first <= n);
	/* As much again as there may be memory: more is not worth promising. */
	if (size < n || size > p->budget->limit ||
	    p->stats.reserved_bytes > p->budget->limit - size)
		return pool_alloc(p, first, ret);
	return pool_take(p, size, first, ret);
}

int pool_charge(struct pool *p, struct block *b, size_t n)
{
	size_t more;

	assert(n <= b->size);
	if (n <= b->charged)
		return 0;
	more = n - b->charged;
	if (!budget_take(p->budget, more)) {
		p->stats.refused_total++;
		return POOL_FULL;
	}
	p->stats.used_bytes += more;
	p->stats.reserved_bytes -= more;
	b->charged = n;
	return 0;
}

void pool_uncharge(struct pool *p, struct block *b, size_t n)
{
	size_t less = b->charged > n ? b->charged - n : 0;

	budget_give(p->budget, less);
	p->stats.used_bytes -= less;
	p->stats.reserved_bytes += less;
	b->charged -= less;
}

static void pool_replace(struct pool *p, struct block *b, size_t used, const struct block *next)
{
	assert(used <= b->charged && used <= next->charged);
	memcpy(next->p, b->p, used);
	pool_free(p, b);
	*b = *next;
}

int pool_grow(struct pool *p, struct block *b, size_t used, size_t n)
{
	struct block next;
	int r;

	assert(used <= b->size);
	if (n <= b->size)
		return 0;
	r = pool_alloc(p, n, &next);
	if (r)
		return r;
	pool_replace(p, b, used, &next);
	return 0;
}

int pool_move(struct pool *p, struct block *b, size_t used, size_t n, size_t first)
{
	size_t size = pool_round(p, n);
	struct block next;
	int r;

	assert(used <= first && first && first <= n);
	r = size < n ? -ENOMEM : pool_take(p, size, first, &next);
	if (r < 0)
		r = pool_alloc(p, first, &next);
	if (r)
		return r;
	pool_replace(p, b, used, &next);
	return 0;
}

void pool_free(struct pool *p, struct block *b)
{
	struct segment *s = b->segment;

	if (!s)
		return;
	assert(p->stats.blocks && b->charged <= b->size);
	budget_give(p->budget, b->charged);
	p->stats.blocks--;
	p->stats.used_bytes -= b->charged;
	p->stats.reserved_bytes -= b->size - b->charged;
	if (s->private)
		segment_close(p, s);
	else
		buddy_free(&s->buddy, b->offset);
	*b = BLOCK_NONE;
}

uint32_t block_segment_id(const struct block *b)
{
	return b->segment->id;
}

bool pool_segment(const struct pool *p, uint32_t id, int *ret_fd, size_t *ret_size)
{
	list_for_each (l, &p->segments) {
		const struct segment *s = container_of(l, struct segment, link);

		if (s->id != id)
			continue;
		*ret_fd = s->read_only;
		*ret_size = s->memory.size;
		return true;
	}
	return false;
}

void pool_on_segment_gone(struct pool *p, void (*gone)(void *arg, uint32_t id), void *arg)
{
	p->gone = gone;
	p->gone_arg = arg;
}

void pool_on_segment_close(struct pool *p, pool_closer *closer, void *arg)
{
	p->closer = closer;
	p->closer_arg = arg;
}

uint64_t pool_trim(struct pool *p, uint64_t bytes_max)
{
	uint64_t given = 0;

	list_for_each_safe (l, &p->segments) {
		struct segment *s = container_of(l, struct segment, link);
		bool first = l == p->segments.next;

		if (s->private || s->buddy.used || first || given >= bytes_max)
			continue;
		if (++s->idle_trims <= POOL_IDLE_TRIMS)
			continue;
		given += s->memory.size;
		segment_close(p, s);
	}
	p->stats.trimmed_bytes_total += given;
	return given;
}

void pool_stats(const struct pool *p, struct pool_stats *ret)
{
	*ret = p->stats;
}
