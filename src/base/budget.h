/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The one memory budget: everything whose size a client decides is taken from it first. Counting
 * only; loop thread only.
 */

#include <stdbool.h>
#include <stdint.h>

struct budget {
	uint64_t limit, used, peak;
	uint64_t refused_total;
	/* Of what was given back: still in memory, for it is soon wanted again. Whoever keeps some
	 * counts it here, and sees to it that this is no more than budget_idle_max(). */
	uint64_t idle;
};

static inline bool budget_fits(const struct budget *b, uint64_t n)
{
	return n <= b->limit && b->used <= b->limit - n;
}

static inline bool budget_take(struct budget *b, uint64_t n)
{
	if (!budget_fits(b, n)) {
		b->refused_total++;
		return false;
	}
	b->used += n;
	if (b->used > b->peak)
		b->peak = b->used;
	return true;
}

static inline uint64_t budget_idle_max(const struct budget *b)
{
	return b->limit / 4;
}

static inline void budget_give(struct budget *b, uint64_t n)
{
	b->used -= n;
}
