/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/form.h"

#include <errno.h>

#include "base/err.h"

static int form_hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static int form_decode(char *p, size_t n, struct slice *ret)
{
	size_t to = 0;

	for (size_t from = 0; from < n; from++, to++) {
		int high, low;

		if (p[from] != '%') {
			p[to] = p[from] == '+' ? ' ' : p[from];
			continue;
		}
		high = from + 2 < n ? form_hex(p[from + 1]) : -1;
		low = from + 2 < n ? form_hex(p[from + 2]) : -1;
		if (high < 0 || low < 0)
			return err_origin(-EBADMSG);
		p[to] = (char)(high << 4 | low);
		from += 2;
	}
	*ret = slice_make(p, to);
	return 0;
}

int form_parse_in_place(char *p, size_t n, struct form_field *fields, unsigned max, unsigned *ret_n)
{
	struct slice rest = slice_make(p, n);
	unsigned count = 0;
	int r;

	while (rest.p) {
		struct slice pair = slice_cut(&rest, '&');
		ptrdiff_t at = slice_find(pair, '=');
		char *start = p + (pair.p - p);

		if (at < 0)
			continue;
		if (count == max)
			return FORM_TOO_MANY;
		r = form_decode(start, (size_t)at, &fields[count].name);
		if (!r)
			r = form_decode(start + at + 1, pair.n - (size_t)at - 1,
					&fields[count].value);
		if (r)
			return err_trace(r);
		count++;
	}
	*ret_n = count;
	return 0;
}
