/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A buddy allocator over offsets: it never touches the memory it hands out, so it can manage memory
 * that another process writes. Blocks are powers of two; free lists are last-in first-out per size,
 * because warm pages are cheap. Pure; one owner.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BUDDY_ORDERS 32
#define BUDDY_NONE UINT32_MAX

struct buddy {
	size_t size, min; /* bytes; powers of two */
	unsigned orders;  /* number of sizes: min << 0 … min << (orders - 1) == size */
	uint32_t heads[BUDDY_ORDERS];
	struct buddy_block *blocks; /* one per `min` bytes; meaningful for the first of a block */
	size_t used;                /* bytes handed out */
	size_t n_blocks;            /* blocks handed out */
	size_t idle;                /* bytes that are free and were not given back: that at most */
};

void buddy_init(struct buddy *b, size_t size, size_t min);
void buddy_finish(struct buddy *b);
/* A block of at least n bytes, n > 0. False: there is none. */
bool buddy_alloc(struct buddy *b, size_t n, size_t *ret_offset, size_t *ret_size);
/* `offset` must be one that buddy_alloc() gave out; returns the block's size. */
size_t buddy_free(struct buddy *b, size_t offset);
/* What buddy_alloc() would give for n; 0 when it is more than there ever is. */
size_t buddy_round(const struct buddy *b, size_t n);
/* Calls `punch` for what is free, was in use at some time and not since the last call, until
 * `bytes_max` bytes have been given back. A hole may be given back again with what lies behind it.
 * Returns the bytes. */
size_t buddy_trim(struct buddy *b, size_t bytes_max,
		  void (*punch)(void *arg, size_t offset, size_t n), void *arg);
/* Likewise, also for what was in use since the last call. */
size_t buddy_shed(struct buddy *b, size_t bytes_max,
		  void (*punch)(void *arg, size_t offset, size_t n), void *arg);
