/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/base64.h"

#include <stdint.h>

/* Of a character; 64: it is none. */
static unsigned sextet(unsigned char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26u;
	if (c >= '0' && c <= '9')
		return c - '0' + 52u;
	return c == '+' ? 62 : c == '/' ? 63 : 64;
}

bool base64_decode(struct slice text, char *to, size_t *ret_n)
{
	unsigned place = 0, pads = 0, bits = 0;
	size_t n = 0;

	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];
		unsigned six = sextet(c);

		/* Python takes texts of ASCII only. */
		if (c >= 0x80)
			return false;
		if (c == '=' && place >= 2 && place + ++pads >= 4) {
			place = 0; /* what follows does not count */
			break;
		}
		if (six == 64)
			continue;
		pads = 0;
		bits = bits << 6 | six;
		place = (place + 1) % 4;
		if (place != 1)
			to[n++] = (char)(bits >> ((4 - place) % 4 * 2));
	}
	*ret_n = n;
	return !place;
}
