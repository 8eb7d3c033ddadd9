/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include <sys/random.h>

#include "base/mem.h"
#include "base/util.h"

#define MAP_FIRST 16

/* A seeded multiply-and-fold hash over 8-byte words. The seed is secret and per process. */
uint64_t map_hash(struct slice key)
{
	static uint64_t seed[2];
	uint64_t h, w;
	__uint128_t m;

	if (!seed[0] && getrandom(seed, sizeof(seed), 0) != sizeof(seed))
		seed[0] = 0x9e3779b97f4a7c15u ^ (uint64_t)getpid();
	seed[0] |= 1;
	h = seed[1] ^ key.n;
	for (size_t i = 0; i < key.n; i += 8) {
		w = 0;
		memcpy(&w, key.p + i, MIN(key.n - i, (size_t)8));
		m = (__uint128_t)(h ^ w ^ seed[0]) * (seed[1] | 0x8000000000000001u);
		h = (uint64_t)m ^ (uint64_t)(m >> 64);
	}
	return h ^ (h >> 29);
}

void map_init(struct map *m)
{
	*m = (struct map){ 0 };
	list_init(&m->entries);
}

void map_finish(struct map *m)
{
	struct list *n;

	while ((n = list_pop(&m->entries)))
		free(container_of(n, struct map_entry, link));
	free(m->buckets);
	map_init(m);
}

static struct map_entry **map_find(const struct map *m, struct slice key, uint64_t hash)
{
	struct map_entry **at = &m->buckets[hash & (m->n_buckets - 1)];

	while (*at && ((*at)->hash != hash ||
		       !slice_eq(key, slice_make((*at)->key, (*at)->key_len))))
		at = &(*at)->chain;
	return at;
}

static void map_grow(struct map *m)
{
	size_t n = m->n_buckets ? m->n_buckets * 2 : MAP_FIRST;

	free(m->buckets);
	m->buckets = mem_zalloc(n * sizeof(*m->buckets));
	m->n_buckets = n;
	list_for_each (l, &m->entries) {
		struct map_entry *e = container_of(l, struct map_entry, link);
		struct map_entry **at = &m->buckets[e->hash & (n - 1)];

		e->chain = *at;
		*at = e;
	}
}

void *map_get(const struct map *m, struct slice key)
{
	struct map_entry *e = m->n ? *map_find(m, key, map_hash(key)) : NULL;

	return e ? e->value : NULL;
}

void map_set(struct map *m, struct slice key, void *value)
{
	uint64_t hash = map_hash(key);
	struct map_entry *e, **at;

	assert(value);
	if (m->n >= m->n_buckets)
		map_grow(m);
	at = map_find(m, key, hash);
	if (*at) {
		(*at)->value = value;
		return;
	}
	e = mem_zalloc(sizeof(*e) + key.n + 1);
	e->hash = hash;
	e->value = value;
	e->key_len = key.n;
	if (key.n)
		memcpy(e->key, key.p, key.n);
	*at = e;
	list_push_back(&m->entries, &e->link);
	m->n++;
}

void *map_remove(struct map *m, struct slice key)
{
	struct map_entry **at = m->n ? map_find(m, key, map_hash(key)) : NULL;
	struct map_entry *e = at ? *at : NULL;
	void *value;

	if (!e)
		return NULL;
	*at = e->chain;
	list_remove(&e->link);
	value = e->value;
	free(e);
	m->n--;
	return value;
}

struct map_entry *map_next(const struct map *m, struct map_entry *after)
{
	struct list *n = after ? after->link.next : m->entries.next;

	return n == &m->entries ? NULL : container_of(n, struct map_entry, link);
}
