/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A map from byte strings to pointers. Keys are copied; values are the caller's. Lookup is O(1)
 * with a seed drawn per process, so that keys chosen by a client cannot make it slow. Iteration
 * (`map_next`) is in insertion order, and may delete the entry it is on. One owner, no locking.
 */

#include "base/list.h"
#include "base/slice.h"

struct map_entry {
	struct list link; /* insertion order */
	struct map_entry *chain;
	uint64_t hash;
	void *value;
	size_t key_len;
	char key[]; /* NUL-terminated copy */
};

struct map {
	struct map_entry **buckets;
	size_t n_buckets;
	size_t n;
	struct list entries;
};

void map_init(struct map *m);
void map_finish(struct map *m);                             /* frees entries, not values */
void *map_get(const struct map *m, struct slice key);       /* NULL when absent */
void map_set(struct map *m, struct slice key, void *value); /* adds or replaces; value != NULL */
void *map_remove(struct map *m, struct slice key); /* returns the value, NULL when absent */

/* for (struct map_entry *e = NULL; (e = map_next(m, e));) … */
struct map_entry *map_next(const struct map *m, struct map_entry *after);

#define map_for_each(e, m)                                                                         \
	for (struct map_entry *e = map_next((m), NULL), *e##_next;                                 \
	     e && (e##_next = map_next((m), e), true); e = e##_next)

uint64_t map_hash(struct slice key); /* seeded per process */
