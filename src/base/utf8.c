/* SPDX-License-Identifier: Apache-2.0 */
#include "base/utf8.h"

#include <assert.h>

/* What the first byte says; 0: it begins nothing. */
static size_t utf8_length(unsigned char first)
{
	if (first < 0x80)
		return 1;
	return first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
}

size_t utf8_char(struct slice s, uint32_t *ret)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	static const unsigned char masks[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
	size_t n;
	uint32_t c;

	assert(s.n);
	n = utf8_length((unsigned char)*s.p);
	if (!n || n > s.n)
		return 0;
	c = (unsigned char)*s.p & masks[n];
	for (size_t i = 1; i < n; i++) {
		if (((unsigned char)s.p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | ((unsigned char)s.p[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	if (ret)
		*ret = c;
	return n;
}

bool utf8_valid(struct slice s)
{
	while (s.n) {
		size_t n = utf8_char(s, NULL);

		if (!n)
			return false;
		s = slice_make(s.p + n, s.n - n);
	}
	return true;
}

struct slice utf8_cut(struct slice s, size_t n)
{
	if (s.n <= n)
		return s;
	while (n && ((unsigned char)s.p[n] & 0xc0) == 0x80)
		n--;
	return slice_make(s.p, n);
}
