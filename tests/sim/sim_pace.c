/* SPDX-License-Identifier: Apache-2.0 */
#include "sim_pace.h"

void pace_begin(struct sim_pace *p, uint64_t now_ns)
{
	p->at_ns[0] = now_ns;
	p->n = 1;
}

void pace_take(struct sim_pace *p, size_t n, uint64_t now_ns)
{
	while (p->n && p->n < PACE_PORTIONS && n / PACE_PORTION >= p->n)
		p->at_ns[p->n++] = now_ns;
}

bool pace_was_slow(const struct sim_pace *p, size_t n, uint64_t ns, uint64_t now_ns)
{
	/* Who had i portions may have had nearly one more. */
	size_t portions = (n + PACE_PORTION - 1) / PACE_PORTION + 1;

	for (size_t i = 0; i < p->n; i++) {
		uint64_t later_ns = i + portions < p->n ? p->at_ns[i + portions] : now_ns;

		if (later_ns - p->at_ns[i] > ns)
			return true;
	}
	return false;
}
