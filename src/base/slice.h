/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A slice is a borrowed run of bytes: not NUL-terminated, not owned, valid as long as what it
 * points into. An absent value is { NULL, 0 }; an empty one has a pointer and no length.
 * Comparisons are on bytes; the "i" variants fold ASCII case only, whatever the locale.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
	const char *p;
	size_t n;
};

#define SLICE(literal) ((struct slice){ (literal), sizeof(literal) - 1 })
/* The same for static initialisers. */
#define SLICE_CONST(literal)                                                                       \
	{                                                                                          \
		(literal), sizeof(literal) - 1                                                     \
	}
#define SLICE_NULL ((struct slice){ NULL, 0 })
/* For printf("%.*s", SLICE_ARG(s)). */
#define SLICE_ARG(s) (int)(s).n, (s).p

static inline struct slice slice_make(const char *p, size_t n)
{
	return (struct slice){ p, n };
}

static inline struct slice slice_str(const char *s)
{
	return s ? (struct slice){ s, strlen(s) } : SLICE_NULL;
}

static inline bool slice_eq(struct slice a, struct slice b)
{
	return a.n == b.n && (!a.n || memcmp(a.p, b.p, a.n) == 0);
}

bool slice_ieq_same(struct slice a, struct slice b); /* of two that are equally long */
/* ASCII letters are equal whatever their case. Most that are not the same differ at once, and not
 * by 0x20, which is what makes a capital. */
static inline bool slice_ieq(struct slice a, struct slice b)
{
	return a.n == b.n && (!a.n || !((a.p[0] ^ b.p[0]) & ~0x20)) && slice_ieq_same(a, b);
}
bool slice_starts(struct slice s, struct slice prefix);
bool slice_istarts(struct slice s, struct slice prefix);
bool slice_ends(struct slice s, struct slice suffix);
struct slice slice_trim(struct slice s);      /* drops blanks and tabs at both ends */
ptrdiff_t slice_find(struct slice s, char c); /* index, or -1 */

/* Cuts the part before the next `c` off `*rest` and returns it; after the last one `*rest` is
 * SLICE_NULL. A slice without `c` is returned whole. */
struct slice slice_cut(struct slice *rest, char c);

/* Decimal, no sign, no blanks, the whole slice. Returns false, leaving *ret alone, on anything
 * else or on overflow. */
bool slice_u64(struct slice s, uint64_t *ret);
/* The same with an optional leading '-' or '+'. */
bool slice_i64(struct slice s, int64_t *ret);
#define SLICE_ALIKE_MAX 64
/* How many letters must change to make one of the other, for guessing what was meant; case and
 * '-' for '_' do not count. `most` or more, and texts longer than SLICE_ALIKE_MAX: UINT_MAX, with
 * little work. */
unsigned slice_distance(struct slice a, struct slice b, unsigned most);
/* A NUL-terminated copy in fresh memory; free() it. */
char *slice_dup(struct slice s);
