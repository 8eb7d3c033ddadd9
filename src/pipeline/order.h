/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The k largest of n scores, the largest first, in the order that torch.topk() gives them on the
 * CPU also where scores are equal: it depends on which comparisons the C++ library makes, so the
 * same ones are made here. NaN is larger than any number. Any thread.
 */

#include <stddef.h>
#include <stdint.h>

struct ranked {
	float score;
	int64_t place;
};

/* `all`: n of them, in their order; k <= n of them come first afterwards. */
void order_top(struct ranked *all, size_t n, size_t k);
