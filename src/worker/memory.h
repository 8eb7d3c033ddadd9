/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Shared memory as the worker sees it: inbound segments to read, one outbound memory to write.
 * Every address is checked against the map it names. The caller locks. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/span.h"

struct memory_segment {
	uint32_t id;
	const char *p;
	size_t size;
};

struct memory {
	struct memory_segment *segments;
	size_t n;
	char *outbound;
	size_t outbound_size;
};

/* Both take the descriptor over. 0 or -errno. */
int memory_add(struct memory *m, uint32_t id, uint64_t size, int fd);
int memory_set_outbound(struct memory *m, int fd);
void memory_drop(struct memory *m, uint32_t id);
void memory_finish(struct memory *m);
/* False: it lies outside what was passed. */
bool memory_view(const struct memory *m, struct span s, struct slice *ret);
/* Where a reply of this grant goes; NULL: outside the outbound memory. */
char *memory_grant(const struct memory *m, struct span grant);
/* Stores the number of the batch that begins now. */
void memory_begin(struct memory *m, uint64_t seq);
