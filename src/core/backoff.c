/* SPDX-License-Identifier: Apache-2.0 */
#include "core/backoff.h"

#include "base/clock.h"

#define BACKOFF_STEPS 17

uint64_t backoff_next_ns(unsigned failures)
{
	uint64_t a = 0, b = 1;

	for (unsigned i = 0; i < failures && i < BACKOFF_STEPS; i++) {
		uint64_t next = a + b;

		a = b;
		b = next;
	}
	return a * NS_PER_S;
}
