/* SPDX-License-Identifier: Apache-2.0 */
#include "kit/kit.h"

#define HASH_PRIME 0x100000001b3u

void kit_hash(uint64_t *hash, const void *p, size_t n)
{
	const unsigned char *from = p;

	for (size_t i = 0; i < n; i++)
		*hash = (*hash ^ from[i]) * HASH_PRIME;
}
