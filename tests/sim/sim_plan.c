/* SPDX-License-Identifier: Apache-2.0 */
#include "sim_ask.h"

/* What a request's body says of its answer, and the bytes that follow from a token. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define PLAN_LINE 64

void plan_put(struct buf *b, const struct ask_plan *plan)
{
	buf_printf(b, "%016llx %u %zu %u\n", (unsigned long long)plan->token, plan->status,
		   plan->size, plan->pieces);
}

bool plan_read(struct slice *rest, struct ask_plan *ret)
{
	struct slice line = slice_cut(rest, '\n');
	char text[PLAN_LINE];
	unsigned long long token;
	int end = 0;

	if (line.n >= sizeof(text) || !rest->p)
		return false;
	memcpy(text, line.p, line.n);
	text[line.n] = '\0';
	if (sscanf(text, "%16llx %u %zu %u%n", &token, &ret->status, &ret->size, &ret->pieces,
		   &end) < 4)
		return false;
	ret->token = token;
	return (size_t)end == line.n && ret->pieces > 0;
}

/* The eight bytes of number i. */
static uint64_t token_word(uint64_t token, uint64_t i)
{
	return (token ^ (i + 1)) * UINT64_C(0x9e3779b97f4a7c15);
}

/* Those of the next word that are among n bytes from `at` on; returns how many. */
static size_t token_next(uint64_t token, uint64_t at, size_t n, char word[8])
{
	uint64_t z = token_word(token, at / 8) >> (at % 8 * 8);

	memcpy(word, &z, sizeof(z));
	return MIN(n, 8 - at % 8);
}

void token_put(struct buf *b, uint64_t token, uint64_t at, size_t n)
{
	char *p = buf_reserve(b, n), word[8];

	if (!p)
		abort();
	for (size_t i = 0, k; i < n; i += k) {
		k = token_next(token, at + i, n - i, word);
		memcpy(p + i, word, k);
	}
	buf_added(b, n);
}

bool token_check(uint64_t token, uint64_t at, struct slice s)
{
	char word[8];

	for (size_t i = 0, k; i < s.n; i += k) {
		k = token_next(token, at + i, s.n - i, word);
		if (memcmp(s.p + i, word, k) != 0)
			return false;
	}
	return true;
}
