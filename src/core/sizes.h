/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * How large a model's replies have been lately: the size of the output grant that travels with a
 * request, so that a large reply need not ask for one. Grows at once, shrinks slowly. Pure.
 */

#include <stddef.h>
#include <stdint.h>

#define SIZES_INLINE ((size_t)8192) /* up to here replies travel in the frame */

struct sizes {
	double recent; /* decaying maximum, bytes */
};

void sizes_learn(struct sizes *s, uint64_t reply_bytes);
/* A power of two, or 0 while replies fit the frame. */
size_t sizes_grant(const struct sizes *s);
