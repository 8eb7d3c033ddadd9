/* SPDX-License-Identifier: Apache-2.0 */
#include "base/region.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/util.h"

#define REGION_BLOCK ((size_t)4096)
#define REGION_ALIGN ((size_t)16)

struct region_block {
	struct region_block *next;
	size_t size; /* of `data` */
	_Alignas(16) char data[];
};

void region_init(struct region *r)
{
	*r = (struct region){ 0 };
}

void region_finish(struct region *r)
{
	while (r->blocks) {
		struct region_block *b = r->blocks;

		r->blocks = b->next;
		free(b);
	}
	region_init(r);
}

void region_reset(struct region *r)
{
	struct region_block *last = r->blocks;

	if (!last)
		return;
	while (last->next) {
		r->blocks = last->next;
		free(last);
		last = r->blocks;
	}
	r->at = last->data;
	r->end = last->data + last->size;
	r->used = 0;
}

static void region_grow(struct region *r, size_t n)
{
	size_t size = MAX(n, REGION_BLOCK - sizeof(struct region_block));
	struct region_block *b = mem_alloc(sizeof(*b) + size);

	b->next = r->blocks;
	b->size = size;
	r->blocks = b;
	r->at = b->data;
	r->end = b->data + size;
}

void *region_bytes(struct region *r, size_t n)
{
	char *p;

	n = ALIGN_UP(n, REGION_ALIGN);
	if ((size_t)(r->end - r->at) < n)
		region_grow(r, n);
	p = r->at;
	r->at += n;
	r->used += n;
	return p;
}

void *region_alloc(struct region *r, size_t n)
{
	return memset(region_bytes(r, n), 0, n);
}

char *region_strndup(struct region *r, const char *p, size_t n)
{
	char *s = region_bytes(r, n + 1);

	if (n)
		memcpy(s, p, n);
	s[n] = '\0';
	return s;
}

struct slice region_copy(struct region *r, struct slice s)
{
	return slice_make(region_strndup(r, s.p, s.n), s.n);
}

char *region_printf(struct region *r, const char *fmt, ...)
{
	va_list ap;
	char *s;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	assert(n >= 0);
	s = region_alloc(r, (size_t)n + 1);
	va_start(ap, fmt);
	vsnprintf(s, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return s;
}
