/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The outbound memory of one worker: a sealed memfd the worker writes replies into and the front
 * reads. The front allocates everything in it (grants); no allocator state lives in the shared
 * memory itself. The first FRAME_STATUS_PAGE bytes are the worker's status page. Loop thread only.
 */

#include <stddef.h>

#include "base/budget.h"
#include "base/span.h"
#include "pool/memfd.h"

struct outbound;

/* `size`: bytes, a power of two >= 1 MiB (sparse: only touched pages cost memory). */
int outbound_create(struct outbound **ret, struct budget *budget, size_t size);
/* Its memory is yours to close: of what was used that takes a millisecond for a few MB, as of
 * segments. */
struct memfd outbound_release(struct outbound *o);
int outbound_fd(const struct outbound *o); /* read-write; stays owned by `o` */
size_t outbound_size(const struct outbound *o);

enum { OUTBOUND_FULL = 1 };
/* A grant of at least n bytes. 0 or OUTBOUND_FULL (budget or space); *ret only on 0. */
int outbound_grant(struct outbound *o, size_t n, struct span *ret);
void outbound_revoke(struct outbound *o, struct span grant); /* length 0 is fine */
/* A view of `length` bytes at `offset`, or NULL unless it lies inside `grant`. The worker may still
 * change the bytes: they are opaque. */
const void *outbound_view(const struct outbound *o, struct span grant, uint64_t offset,
			  uint64_t length);
/* The number of the last batch the worker has begun. */
uint64_t outbound_started(const struct outbound *o);
uint64_t outbound_trim(struct outbound *o, uint64_t bytes_max); /* as pool_trim() */
/* Gives back to the system of what is idle, here and elsewhere, beyond budget_idle_max(). Returns
 * the bytes. */
uint64_t outbound_shed(struct outbound *o, uint64_t bytes_max);
