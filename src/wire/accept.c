/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/accept.h"

#include "base/util.h"

#define ACCEPT_WHOLE 1000

/* "1", "0.5", "0.125"; more digits than three are cut. -1: it is none. */
static int accept_quality(struct slice text)
{
	struct slice whole = slice_cut(&text, '.');
	int v, digit = ACCEPT_WHOLE / 10;

	if (whole.n != 1 || (whole.p[0] != '0' && whole.p[0] != '1'))
		return -1;
	v = (whole.p[0] - '0') * ACCEPT_WHOLE;
	for (size_t i = 0; i < text.n; i++, digit /= 10) {
		if (text.p[i] < '0' || text.p[i] > '9')
			return -1;
		v += (text.p[i] - '0') * digit;
	}
	return MIN(v, ACCEPT_WHOLE);
}

/* `range` is what follows its name: ";version=1.0.0;q=0.5". -1: it is not meant. */
static int accept_parameters(struct slice range, struct slice version)
{
	int weight = ACCEPT_WHOLE;

	while (range.n) {
		struct slice value = slice_cut(&range, ';'), name = slice_cut(&value, '=');

		name = slice_trim(name);
		value = slice_trim(value);
		if (value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"')
			value = slice_make(value.p + 1, value.n - 2);
		if (slice_ieq(name, SLICE("version")) && !slice_eq(value, version))
			return -1;
		if (slice_ieq(name, SLICE("q")))
			weight = accept_quality(value);
		if (weight < 0)
			return -1;
	}
	return weight;
}

int accept_weight(struct slice accept, struct slice type, struct slice version)
{
	int best = ACCEPT_UNNAMED;

	while (accept.n) {
		struct slice range = slice_cut(&accept, ',');

		if (slice_ieq(slice_trim(slice_cut(&range, ';')), type))
			best = MAX(best, accept_parameters(range, version));
	}
	return best;
}
