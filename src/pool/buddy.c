/* SPDX-License-Identifier: Apache-2.0 */
#include "pool/buddy.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "base/util.h"

enum buddy_state { BUDDY_INSIDE, BUDDY_FREE, BUDDY_USED };

struct buddy_block {
	uint32_t next, prev; /* free list */
	/* Of a free block, in units of `min`: what lies behind was never touched (or given back),
	 * and what lies behind `hot` not since the last trim. */
	uint32_t warm, hot;
	uint8_t order, state;
};

/* There is an entry for every block there may ever be, of which few are: those pages never come to
 * be. The heap might hand out memory that it has to clear. */
static void *buddy_map(size_t n)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		       -1, 0);

	if (p == MAP_FAILED)
		abort(); /* as mem_alloc() */
	return p;
}

void buddy_init(struct buddy *b, size_t size, size_t min)
{
	*b = (struct buddy){ .size = size, .min = min };
	assert(size >= min && !(size & (size - 1)) && !(min & (min - 1)));
	for (size_t s = size; s >= min; s /= 2)
		b->orders++;
	assert(b->orders <= BUDDY_ORDERS);
	for (unsigned i = 0; i < BUDDY_ORDERS; i++)
		b->heads[i] = BUDDY_NONE;
	b->blocks = buddy_map(size / min * sizeof(*b->blocks));
	b->blocks[0] = (struct buddy_block){ .next = BUDDY_NONE,
					     .prev = BUDDY_NONE,
					     .order = (uint8_t)(b->orders - 1),
					     .state = BUDDY_FREE };
	b->heads[b->orders - 1] = 0;
}

void buddy_finish(struct buddy *b)
{
	if (b->blocks)
		munmap(b->blocks, b->size / b->min * sizeof(*b->blocks));
	*b = (struct buddy){ 0 };
}

static void buddy_push(struct buddy *b, uint32_t i, unsigned order, uint32_t warm, uint32_t hot)
{
	uint32_t head = b->heads[order];

	assert(hot <= warm && warm <= 1u << order);
	b->idle += warm * b->min;
	b->blocks[i] = (struct buddy_block){ .next = head,
					     .prev = BUDDY_NONE,
					     .warm = warm,
					     .hot = hot,
					     .order = (uint8_t)order,
					     .state = BUDDY_FREE };
	if (head != BUDDY_NONE)
		b->blocks[head].prev = i;
	b->heads[order] = i;
}

static void buddy_unlink(struct buddy *b, uint32_t i)
{
	struct buddy_block *k = &b->blocks[i];

	assert(k->state == BUDDY_FREE);
	b->idle -= k->warm * b->min;
	if (k->prev == BUDDY_NONE)
		b->heads[k->order] = k->next;
	else
		b->blocks[k->prev].next = k->next;
	if (k->next != BUDDY_NONE)
		b->blocks[k->next].prev = k->prev;
	k->state = BUDDY_INSIDE;
}

static unsigned buddy_order(const struct buddy *b, size_t n)
{
	unsigned order = 0;

	while (order < b->orders && b->min << order < n)
		order++;
	return order;
}

size_t buddy_round(const struct buddy *b, size_t n)
{
	unsigned order = buddy_order(b, n);

	return order < b->orders ? b->min << order : 0;
}

static uint32_t buddy_behind(uint32_t n, uint32_t half)
{
	return n > half ? n - half : 0;
}

/* How far two halves reach together: to where the right one does, unless that is nowhere. */
static uint32_t buddy_reach(uint32_t left, uint32_t right, uint32_t half)
{
	return right ? half + right : left;
}

bool buddy_alloc(struct buddy *b, size_t n, size_t *ret_offset, size_t *ret_size)
{
	unsigned want = buddy_order(b, n), order = want;
	uint32_t i, warm, hot;

	while (order < b->orders && b->heads[order] == BUDDY_NONE)
		order++;
	if (order >= b->orders)
		return false;
	i = b->heads[order];
	warm = b->blocks[i].warm;
	hot = b->blocks[i].hot;
	buddy_unlink(b, i);
	while (order > want) {
		uint32_t half = 1u << --order;

		buddy_push(b, i + half, order, buddy_behind(warm, half), buddy_behind(hot, half));
		warm = MIN(warm, half);
		hot = MIN(hot, half);
	}
	b->blocks[i].order = (uint8_t)want;
	b->blocks[i].state = BUDDY_USED;
	b->used += b->min << want;
	b->n_blocks++;
	*ret_offset = (size_t)i * b->min;
	*ret_size = b->min << want;
	return true;
}

size_t buddy_free(struct buddy *b, size_t offset)
{
	uint32_t i = (uint32_t)(offset / b->min);
	unsigned order = b->blocks[i].order;
	uint32_t warm = 1u << order, hot = warm;
	size_t n = b->min << order;

	assert(offset % b->min == 0 && offset < b->size && b->blocks[i].state == BUDDY_USED);
	b->used -= n;
	b->n_blocks--;
	b->blocks[i].state = BUDDY_INSIDE;
	while (order + 1 < b->orders) {
		uint32_t half = 1u << order, other = i ^ half;
		const struct buddy_block *k;

		if (b->blocks[other].state != BUDDY_FREE || b->blocks[other].order != order)
			break;
		buddy_unlink(b, other);
		k = &b->blocks[other];
		warm = other < i ? buddy_reach(k->warm, warm, half)
				 : buddy_reach(warm, k->warm, half);
		hot = other < i ? buddy_reach(k->hot, hot, half) : buddy_reach(hot, k->hot, half);
		i &= ~half;
		order++;
	}
	buddy_push(b, i, order, warm, hot);
	return n;
}

/* What lies behind `keep`, from its end, so that one number still says what is left. */
static size_t buddy_give_back(struct buddy *b, uint32_t i, uint32_t keep, size_t bytes_max,
			      void (*punch)(void *arg, size_t offset, size_t n), void *arg)
{
	struct buddy_block *k = &b->blocks[i];
	uint32_t n = (uint32_t)MIN(k->warm - keep, bytes_max / b->min);

	if (!n)
		return 0;
	k->warm -= n;
	k->hot = MIN(k->hot, k->warm);
	b->idle -= n * b->min;
	punch(arg, ((size_t)i + k->warm) * b->min, n * b->min);
	return n * b->min;
}

size_t buddy_trim(struct buddy *b, size_t bytes_max,
		  void (*punch)(void *arg, size_t offset, size_t n), void *arg)
{
	size_t given = 0;

	/* Large ones lie behind small ones, mostly: `warm` remembers an end, and no holes. */
	for (unsigned order = b->orders; order-- > 0;)
		for (uint32_t i = b->heads[order]; i != BUDDY_NONE; i = b->blocks[i].next) {
			given += buddy_give_back(b, i, b->blocks[i].hot, bytes_max - given, punch,
						 arg);
			b->blocks[i].hot = 0;
		}
	return given;
}

size_t buddy_shed(struct buddy *b, size_t bytes_max,
		  void (*punch)(void *arg, size_t offset, size_t n), void *arg)
{
	size_t given = 0;

	for (unsigned order = b->orders; order-- > 0 && given < bytes_max;)
		for (uint32_t i = b->heads[order]; i != BUDDY_NONE; i = b->blocks[i].next)
			given += buddy_give_back(b, i, 0, bytes_max - given, punch, arg);
	return given;
}
