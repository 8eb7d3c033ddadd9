/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Memory that dies with its request: many small allocations, one release. The first block is part
 * of the region's owner or kept across resets, so a typical request allocates nothing from the
 * system. Never returns NULL (see mem.h); what a client controls must be bounded before it gets
 * here. One owner at a time, no locking.
 */

#include "base/slice.h"

struct region_block;

struct region {
	struct region_block *blocks; /* newest first */
	char *at, *end;              /* free room in the newest */
	size_t used;                 /* bytes handed out since the last reset */
};

void region_init(struct region *r);
void region_finish(struct region *r);
void region_reset(struct region *r);            /* frees all but one block */
void *region_alloc(struct region *r, size_t n); /* zeroed, 16-byte aligned */
void *region_bytes(struct region *r, size_t n); /* the same for who fills all of it: not zeroed */
char *region_strndup(struct region *r, const char *p, size_t n);
struct slice region_copy(struct region *r, struct slice s); /* NUL-terminated copy */
char *region_printf(struct region *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define region_new(r, type) ((type *)region_alloc((r), sizeof(type)))
