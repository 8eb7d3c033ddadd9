/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * How fast a client has taken the body of an answer. The front gives up a stream that is a window
 * ahead of a client which takes less than half a window of it in responseTimeout: whoever says that
 * his stream broke off for this has to have been so slow.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PACE_PORTION ((size_t)16 << 10)
#define PACE_PORTIONS 264 /* of the longest plan, and a token */

struct sim_pace {
	uint64_t at_ns[PACE_PORTIONS]; /* when there was so much of it */
	unsigned n;
};

/* From now on there can be something of it. */
void pace_begin(struct sim_pace *p, uint64_t now_ns);
/* There are `n` bytes of it. */
void pace_take(struct sim_pace *p, size_t n, uint64_t now_ns);
/* Was there a time of `ns`, or is there one now, in which less than `n` bytes came? */
bool pace_was_slow(const struct sim_pace *p, size_t n, uint64_t ns, uint64_t now_ns);
