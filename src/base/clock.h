/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Time, in nanoseconds. Policies take it as an argument; only drivers read it. Any thread. */

#include <stdint.h>
#include <time.h>

#define NS_PER_US UINT64_C(1000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)

/* Where time comes from; NULL: the system. A simulator sets one of its own before anything else
 * runs, and owns the time from then on; nothing else may. */
struct clock_source {
	uint64_t (*now_ns)(void);
	uint64_t (*wall_ns)(void);
};
extern const struct clock_source *clock_source;

/* CLOCK_MONOTONIC: for durations and deadlines; the same clock in every process of this host. */
static inline uint64_t clock_now_ns(void)
{
	struct timespec t;

	if (clock_source)
		return clock_source->now_ns();
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* CLOCK_REALTIME, for log lines and timestamps. */
static inline uint64_t clock_wall_ns(void)
{
	struct timespec t;

	if (clock_source)
		return clock_source->wall_ns();
	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}
