/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The inbound pool: request bodies in shared memory that the front writes and every worker maps
 * read-only and can never write. Memory comes in memfd segments (MEMFD_OURS) that never move;
 * blocks are powers of two from POOL_BLOCK_MIN, given out last-in first-out per size class, because
 * a warm page is fifty times cheaper than a new one. A block larger than POOL_PRIVATE (or half a
 * segment) gets a memfd of its own, closed when it is freed. Addresses are (segment, offset,
 * length). Loop thread only.
 */

#include <stddef.h>

#include "base/budget.h"
#include "base/span.h"
#include "pool/memfd.h"

#define POOL_BLOCK_MIN ((size_t)1024)

struct pool;
struct segment;

struct block {
	struct segment *segment; /* NULL: no block */
	char *p;                 /* where the front sees it */
	size_t size;             /* bytes usable, >= what was asked */
	uint64_t offset;         /* of p in its segment */
	size_t charged;          /* of size, taken from the budget: what may be used */
};

#define BLOCK_NONE ((struct block){ 0 })

/* `segment_size` is a power of two >= 1 MiB. The budget must outlive the pool. */
int pool_create(struct pool **ret, struct budget *budget, size_t segment_size);
struct pool *pool_destroy(struct pool *p); /* all blocks must have been freed */

uint64_t pool_limit(const struct pool *p); /* the budget's */

enum { POOL_FULL = 1 }; /* the budget is used up */
/* 0, POOL_FULL, or -errno (no memfd to be had). On anything but 0 *ret is BLOCK_NONE. */
int pool_alloc(struct pool *p, size_t n, struct block *ret);
/* As pool_alloc(), but only `first` bytes of it are taken from the budget and may be used: a client
 * that announces much and sends little holds addresses, not memory. Where too much is promised like
 * that already, the block is only `first` bytes long: pool_grow() it. */
int pool_reserve(struct pool *p, size_t n, size_t first, struct block *ret);
/* Takes more of a block from the budget: its first `n` bytes may be used. 0 or POOL_FULL. */
int pool_charge(struct pool *p, struct block *b, size_t n);
/* Gives what it has taken beyond `n` bytes back: they were not used. */
void pool_uncharge(struct pool *p, struct block *b, size_t n);
/* Grows to at least n bytes, keeping the first `used`; may move. On failure *b is unchanged. */
int pool_grow(struct pool *p, struct block *b, size_t used, size_t n);
/* To a block of n bytes, as pool_reserve(), keeping the first `used`. For what is long already: of
 * those there are few, so it does not matter how much is promised. Where there are no addresses for
 * that it is `first` bytes long. On failure *b is unchanged. */
int pool_move(struct pool *p, struct block *b, size_t used, size_t n, size_t first);
void pool_free(struct pool *p, struct block *b); /* *b becomes BLOCK_NONE; NONE is fine */

uint32_t block_segment_id(const struct block *b);

/* What a worker needs to map a segment. `fd` is read-only and stays the pool's. Returns false
 * for an id that does not exist (any more). */
bool pool_segment(const struct pool *p, uint32_t id, int *ret_fd, size_t *ret_size);
/* Called when a private segment goes away, so that workers can be told to forget it. */
void pool_on_segment_gone(struct pool *p, void (*gone)(void *arg, uint32_t id), void *arg);
/* Called instead of closing memory, which takes a millisecond for a few MB: closes `memory` and
 * `read_only` (-1: there is none), now or later. NULL: the pool closes them itself. */
typedef void pool_closer(void *arg, struct memfd memory, int read_only);
void pool_on_segment_close(struct pool *p, pool_closer *closer, void *arg);
/* Closes memory that is no segment's as segments' is. */
void pool_close_memory(struct pool *p, struct memfd memory, int read_only);

/* Gives segments that have been empty for some calls back to the system, until that is `bytes_max`.
 * Returns the bytes. (Single pages cannot be given back: see MEMFD_OURS.) Cheap when there is
 * nothing to do; call it every few seconds. */
uint64_t pool_trim(struct pool *p, uint64_t bytes_max);

struct pool_stats {
	uint64_t segments, mapped_bytes; /* address space */
	uint64_t used_bytes;             /* in blocks, as far as they may be used */
	uint64_t reserved_bytes;         /* in blocks, beyond that */
	uint64_t blocks;
	uint64_t allocations_total, refused_total, trimmed_bytes_total;
};
void pool_stats(const struct pool *p, struct pool_stats *ret);
