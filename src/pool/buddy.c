/* SPDX-License-Identifier: Apache-2.0 */
#include "pool/buddy.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/util.h"

enum buddy_state { BUDDY_INSIDE, BUDDY_FREE, BUDDY_USED };
/* What the pages of a free block are: never touched (or punched), used lately, used before. */
enum buddy_age { BUDDY_COLD, BUDDY_WARM, BUDDY_AGED };

struct buddy_block {
	uint32_t next, prev; /* free list */
	uint8_t order, state, age;
};

void buddy_init(struct buddy *b, size_t size, size_t min)
{
	*b = (struct buddy){ .size = size, .min = min };
	assert(size >= min && !(size & (size - 1)) && !(min & (min - 1)));
	for (size_t s = size; s >= min; s /= 2)
		b->orders++;
	assert(b->orders <= BUDDY_ORDERS);
	for (unsigned i = 0; i < BUDDY_ORDERS; i++)
		b->heads[i] = BUDDY_NONE;
	b->blocks = mem_zalloc(size / min * sizeof(*b->blocks));
	b->blocks[0] = (struct buddy_block){ BUDDY_NONE, BUDDY_NONE, (uint8_t)(b->orders - 1),
					     BUDDY_FREE, BUDDY_COLD };
	b->heads[b->orders - 1] = 0;
}

void buddy_finish(struct buddy *b)
{
	free(b->blocks);
	*b = (struct buddy){ 0 };
}

static void buddy_push(struct buddy *b, uint32_t i, unsigned order, enum buddy_age age)
{
	uint32_t head = b->heads[order];

	b->blocks[i] = (struct buddy_block){ head, BUDDY_NONE, (uint8_t)order, BUDDY_FREE,
					     (uint8_t)age };
	if (head != BUDDY_NONE)
		b->blocks[head].prev = i;
	b->heads[order] = i;
}

static void buddy_unlink(struct buddy *b, uint32_t i)
{
	struct buddy_block *k = &b->blocks[i];

	assert(k->state == BUDDY_FREE);
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

bool buddy_alloc(struct buddy *b, size_t n, size_t *ret_offset, size_t *ret_size)
{
	unsigned want = buddy_order(b, n), order = want;
	enum buddy_age age;
	uint32_t i;

	while (order < b->orders && b->heads[order] == BUDDY_NONE)
		order++;
	if (order >= b->orders)
		return false;
	i = b->heads[order];
	age = (enum buddy_age)b->blocks[i].age;
	buddy_unlink(b, i);
	while (order > want) {
		order--;
		buddy_push(b, i + (1u << order), order, age);
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
	size_t n = b->min << order;

	assert(offset % b->min == 0 && offset < b->size && b->blocks[i].state == BUDDY_USED);
	b->used -= n;
	b->n_blocks--;
	b->blocks[i].state = BUDDY_INSIDE;
	while (order + 1 < b->orders) {
		uint32_t other = i ^ (1u << order);

		if (b->blocks[other].state != BUDDY_FREE || b->blocks[other].order != order)
			break;
		buddy_unlink(b, other);
		i &= ~(1u << order);
		order++;
	}
	buddy_push(b, i, order, BUDDY_WARM);
	return n;
}

size_t buddy_trim(struct buddy *b, size_t bytes_max,
		  void (*punch)(void *arg, size_t offset, size_t n), void *arg)
{
	size_t given = 0;

	for (unsigned order = 0; order < b->orders; order++) {
		for (uint32_t i = b->heads[order]; i != BUDDY_NONE; i = b->blocks[i].next) {
			struct buddy_block *k = &b->blocks[i];
			size_t n = b->min << order;

			if (k->age == BUDDY_WARM) {
				k->age = BUDDY_AGED;
			} else if (k->age == BUDDY_AGED && given < bytes_max) {
				punch(arg, (size_t)i * b->min, n);
				k->age = BUDDY_COLD;
				given += n;
			}
		}
	}
	return given;
}
