/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What was meant by a name that is not there: of the names that there are, the one that is most
 * like it, if one is alike enough. Of a short name all is like all, so that of one with up to three
 * letters at most one may be wrong.
 */

#include <limits.h>

#include "base/slice.h"

struct guess {
	struct slice typed;
	unsigned least; /* that the next one must be nearer than */
};

static inline struct guess guess_begin(struct slice typed)
{
	return (struct guess){ typed, typed.n < 2 ? (unsigned)typed.n : typed.n < 4 ? 2 : 3 };
}

/* Is this one more likely than all before? The last one for which it was true was meant. */
static inline bool guess_next(struct guess *g, struct slice name)
{
	unsigned distance = slice_distance(g->typed, name, g->least);

	if (distance == UINT_MAX)
		return false;
	g->least = distance;
	return true;
}
