/* SPDX-License-Identifier: Apache-2.0 */
#include "pool/outbound.h"

#include <endian.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/util.h"
#include "pool/buddy.h"
#include "pool/memfd.h"

#define OUTBOUND_STATUS_PAGE                                                                       \
	((size_t)4096) /* FRAME_STATUS_PAGE: the first block is never granted */
#define OUTBOUND_BLOCKS_MAX ((size_t)1 << 20)

struct outbound {
	struct budget *budget;
	struct memfd memory;
	struct buddy buddy;
	size_t idle; /* of the budget's */
};

/* After each change of what is free. */
static void outbound_count(struct outbound *o, size_t idle)
{
	o->budget->idle += idle;
	o->budget->idle -= o->idle;
	o->idle = idle;
}

int outbound_create(struct outbound **ret, struct budget *budget, size_t size)
{
	struct outbound *o = mem_new(struct outbound);
	size_t min = MAX(OUTBOUND_STATUS_PAGE, size / OUTBOUND_BLOCKS_MAX), offset, got;
	int r;

	assert(size >= (size_t)1 << 20 && !(size & (size - 1)));
	r = memfd_open(&o->memory, "sconce-outbound", size, MEMFD_SHARED);
	if (r < 0) {
		free(o);
		return err_trace(r);
	}
	o->budget = budget;
	buddy_init(&o->buddy, size, min);
	/* The first block that is ever given out lies at the start: the status page. */
	if (!buddy_alloc(&o->buddy, 1, &offset, &got) || offset != 0)
		abort();
	*ret = o;
	return 0;
}

struct memfd outbound_release(struct outbound *o)
{
	struct memfd memory = o->memory;

	budget_give(o->budget, o->buddy.used - o->buddy.min);
	outbound_count(o, 0);
	buddy_finish(&o->buddy);
	free(o);
	return memory;
}

int outbound_fd(const struct outbound *o)
{
	return o->memory.fd;
}

size_t outbound_size(const struct outbound *o)
{
	return o->memory.size;
}

int outbound_grant(struct outbound *o, size_t n, struct span *ret)
{
	size_t size = buddy_round(&o->buddy, MAX(n, 1)), offset;

	if (!size || !budget_take(o->budget, size))
		return OUTBOUND_FULL;
	if (!buddy_alloc(&o->buddy, size, &offset, &size)) {
		budget_give(o->budget, size);
		return OUTBOUND_FULL;
	}
	outbound_count(o, o->buddy.idle);
	*ret = (struct span){ .offset = offset, .length = size };
	return 0;
}

void outbound_revoke(struct outbound *o, struct span grant)
{
	if (!grant.length)
		return;
	budget_give(o->budget, buddy_free(&o->buddy, grant.offset));
	outbound_count(o, o->buddy.idle);
}

const void *outbound_view(const struct outbound *o, struct span grant, uint64_t offset,
			  uint64_t length)
{
	if (!grant.length || offset < grant.offset || length > grant.length ||
	    offset - grant.offset > grant.length - length)
		return NULL;
	return o->memory.p + offset;
}

uint64_t outbound_started(const struct outbound *o)
{
	uint64_t v;

	memcpy(&v, o->memory.p, sizeof(v));
	return le64toh(v);
}

static void outbound_punch(void *arg, size_t offset, size_t n)
{
	const struct outbound *o = arg;

	memfd_punch(&o->memory, offset, n);
}

uint64_t outbound_trim(struct outbound *o, uint64_t bytes_max)
{
	uint64_t given = buddy_trim(&o->buddy, bytes_max, outbound_punch, o);

	outbound_count(o, o->buddy.idle);
	return given;
}

uint64_t outbound_shed(struct outbound *o, uint64_t bytes_max)
{
	uint64_t max = budget_idle_max(o->budget), idle = o->budget->idle, given;

	if (idle <= max || !o->idle)
		return 0;
	given = buddy_shed(&o->buddy, MIN(idle - max + o->buddy.min - 1, bytes_max), outbound_punch,
			   o);
	outbound_count(o, o->buddy.idle);
	return given;
}
