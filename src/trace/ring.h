/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Encoded spans on their way out: a queue in memory of a fixed size. What does not fit is dropped,
 * and counted; nothing waits. One thread at a time.
 */

#include <stdint.h>

#include "base/buf.h"

struct span_ring {
	char *p;
	size_t size, from, used;
	unsigned n; /* spans that it holds */
};

void span_ring_init(struct span_ring *r, size_t size);
void span_ring_finish(struct span_ring *r);
/* False: there is no room for it. */
bool span_ring_put(struct span_ring *r, struct slice span);
/* Appends the oldest spans to `out`, as many as fit its bound but at most `n_max`, and says how
 * many.
 */
unsigned span_ring_take(struct span_ring *r, unsigned n_max, struct buf *out);
