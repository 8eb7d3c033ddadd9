/* SPDX-License-Identifier: Apache-2.0 */
#include "core/sizes.h"

#include "base/util.h"

#define SIZES_FORGET 0.995

void sizes_learn(struct sizes *s, uint64_t reply_bytes)
{
	s->recent = MAX((double)reply_bytes, s->recent * SIZES_FORGET);
}

size_t sizes_grant(const struct sizes *s)
{
	size_t n = SIZES_INLINE;

	if (s->recent <= (double)SIZES_INLINE)
		return 0;
	while ((double)n < s->recent)
		n *= 2;
	return n;
}
