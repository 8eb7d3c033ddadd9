/* SPDX-License-Identifier: Apache-2.0 */
#include "base/slice.h"

#include <limits.h>

#include "base/mem.h"
#include "base/util.h"


static char slice_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* Eight bytes at a time: those that differ do so by what makes a capital, and are letters. */
static bool slice_ieq_word(const char *p, const char *q)
{
	const uint64_t each = UINT64_C(0x0101010101010101);
	uint64_t a, b, low, letters;

	memcpy(&a, p, sizeof(a));
	memcpy(&b, q, sizeof(b));
	b ^= a;
	if (b & ~(each * 0x20))
		return !b;
	a |= each * 0x20;
	low = a & each * 0x7f;
	letters = (low + each * (0x80 - 'a')) & ~(low + each * (0x7f - 'z')) & ~a;
	return !(b << 2 & ~letters);
}

bool slice_ieq_same(struct slice a, struct slice b)
{
	size_t n = a.n;

	if (n >= sizeof(uint64_t)) {
		/* The last one together with what has been looked at. */
		for (size_t i = 0; i + sizeof(uint64_t) < n; i += sizeof(uint64_t))
			if (!slice_ieq_word(a.p + i, b.p + i))
				return false;
		return slice_ieq_word(a.p + n - sizeof(uint64_t), b.p + n - sizeof(uint64_t));
	}
	for (size_t i = 0; i < n; i++)
		if (a.p[i] != b.p[i] && slice_lower(a.p[i]) != slice_lower(b.p[i]))
			return false;
	return true;
}

bool slice_starts(struct slice s, struct slice prefix)
{
	return s.n >= prefix.n && slice_eq(slice_make(s.p, prefix.n), prefix);
}

bool slice_istarts(struct slice s, struct slice prefix)
{
	return s.n >= prefix.n && slice_ieq(slice_make(s.p, prefix.n), prefix);
}

bool slice_ends(struct slice s, struct slice suffix)
{
	return s.n >= suffix.n && slice_eq(slice_make(s.p + s.n - suffix.n, suffix.n), suffix);
}

struct slice slice_trim(struct slice s)
{
	while (s.n && (s.p[0] == ' ' || s.p[0] == '\t')) {
		s.p++;
		s.n--;
	}
	while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

ptrdiff_t slice_find(struct slice s, char c)
{
	const char *at = s.n ? memchr(s.p, c, s.n) : NULL;

	return at ? at - s.p : -1;
}

struct slice slice_cut(struct slice *rest, char c)
{
	struct slice head = *rest;
	ptrdiff_t at = slice_find(*rest, c);

	if (at < 0) {
		*rest = SLICE_NULL;
		return head;
	}
	head.n = (size_t)at;
	rest->p += at + 1;
	rest->n -= (size_t)at + 1;
	return head;
}

bool slice_u64(struct slice s, uint64_t *ret)
{
	uint64_t v = 0;

	if (!s.n)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned d = (unsigned char)s.p[i] - '0';

		if (d > 9 || __builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, d, &v))
			return false;
	}
	*ret = v;
	return true;
}

bool slice_i64(struct slice s, int64_t *ret)
{
	bool minus = s.n && s.p[0] == '-';
	uint64_t v;

	if (s.n && (s.p[0] == '-' || s.p[0] == '+')) {
		s.p++;
		s.n--;
	}
	if (!slice_u64(s, &v) || v > (uint64_t)INT64_MAX + minus)
		return false;
	*ret = minus ? (int64_t)(0 - v) : (int64_t)v;
	return true;
}

char *slice_dup(struct slice s)
{
	return mem_strndup(s.p, s.n);
}

static char slice_plain(char c)
{
	return c == '-' ? '_' : slice_lower(c);
}

/* Insertions, deletions and replacements (Levenshtein). Of the table only what is less than `most`
 * from its diagonal can be less than that: the rest is not looked at. */
unsigned slice_distance(struct slice a, struct slice b, unsigned most)
{
	unsigned row[SLICE_ALIKE_MAX + 1], diagonal, above, least;

	if (a.n > SLICE_ALIKE_MAX || b.n > SLICE_ALIKE_MAX || MAX(a.n, b.n) - MIN(a.n, b.n) >= most)
		return UINT_MAX;
	for (unsigned j = 0; j <= b.n; j++)
		row[j] = j;
	for (unsigned i = 1; i <= a.n; i++) {
		unsigned from = i > most ? i - most : 1, to;

		to = b.n > i && b.n - i > most ? i + most : (unsigned)b.n;
		diagonal = row[from - 1];
		row[from - 1] = least = from == 1 ? i : most;
		for (unsigned j = from; j <= to; j++) {
			bool same = slice_plain(a.p[i - 1]) == slice_plain(b.p[j - 1]);

			above = row[j];
			row[j] = MIN(MIN(above, row[j - 1]) + 1, diagonal + !same);
			least = MIN(least, row[j]);
			diagonal = above;
		}
		if (least >= most)
			return UINT_MAX;
	}
	return row[b.n] < most ? row[b.n] : UINT_MAX;
}
