/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A request body in the shared pool: the sink that connections read into. Addresses for a known
 * length are reserved once, so that it is read into its place without a copy; memory is taken from
 * the budget as it arrives, in steps that grow. One of unknown length moves to larger blocks while
 * it is short, and then to one that has room for the longest. Where the budget is used up, a body
 * is refused rather than kept waiting.
 */

#include "net/sink.h"
#include "pool/pool.h"

struct body {
	struct sink sink;
	struct pool *pool;
	struct block block;
	uint64_t used;
	uint64_t max;
	uint64_t length; /* declared, or HTTP_LENGTH_UNKNOWN */
};

void body_init(struct body *b, struct pool *pool, uint64_t max);
void body_finish(struct body *b);
/* Where `n` bytes at `p` (inside the body) lie, for workers. */
struct span body_span(const struct body *b, const char *p, size_t n);
