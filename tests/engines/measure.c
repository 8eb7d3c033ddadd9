/* SPDX-License-Identifier: Apache-2.0 */
#include "measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The number behind `key` in a file of lines. */
static long number_in(const char *path, const char *key)
{
	char line[512];
	FILE *f = fopen(path, "r");
	long n = -1;

	while (f && n < 0 && fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key)))
			n = strtol(line + strlen(key), NULL, 10);
	if (f)
		fclose(f);
	return n;
}

long pss_kib(void)
{
	return number_in("/proc/self/smaps_rollup", "Pss:");
}

long anonymous_kib(void)
{
	return number_in("/proc/self/status", "RssAnon:");
}

long thread_count(void)
{
	return number_in("/proc/self/status", "Threads:");
}
