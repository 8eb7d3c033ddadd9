/* SPDX-License-Identifier: Apache-2.0 */
#include "sim_random.h"

#include <assert.h>

/* SplitMix64 (Steele, Lea, Flood): every seed, small ones too, gives a sequence of its own. */
uint64_t random_next(struct sim_random *r)
{
	uint64_t z = r->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

void random_seed(struct sim_random *r, uint64_t seed)
{
	r->state = seed;
	random_next(r);
}

unsigned random_below(struct sim_random *r, unsigned n)
{
	assert(n > 0);
	return (unsigned)(random_next(r) % n);
}

bool random_chance(struct sim_random *r, unsigned in_1000)
{
	return random_below(r, 1000) < in_1000;
}

size_t random_size(struct sim_random *r, size_t max)
{
	unsigned bits = 0;
	size_t top;

	while (bits < 40 && max >> bits)
		bits++;
	top = (size_t)1 << random_below(r, bits + 1);
	return (size_t)(random_next(r) % (top < max ? top + 1 : max + 1));
}
