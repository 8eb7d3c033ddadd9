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

/* What `echo` or an editor puts at the end of a body is not part of the last value. */
static size_t form_end(const char *p, size_t n)
{
	if (n && p[n - 1] == '\n')
		n -= n > 1 && p[n - 2] == '\r' ? 2 : 1;
	return n;
}

static int form_field(char *p, size_t n, size_t equals, struct form_field *f)
{
	size_t value = equals < n ? equals + 1 : n;
	int r = form_decode(p, equals, &f->name);

	return r ? r : form_decode(p + value, n - value, &f->value);
}

int form_parse_in_place(char *p, size_t n, struct form_field *fields, unsigned max, unsigned *ret_n)
{
	struct slice rest = slice_make(p, form_end(p, n));
	unsigned count = 0;
	int r;

	while (rest.p) {
		struct slice pair;
		ptrdiff_t at;

		/* There may be millions of them. */
		if (rest.n && *rest.p == '&') {
			rest = slice_make(rest.p + 1, rest.n - 1);
			continue;
		}
		pair = slice_cut(&rest, '&');
		at = slice_find(pair, '=');
		if (at < 0 && (!pair.n || !rest.p))
			continue;
		if (count == max)
			return FORM_TOO_MANY;
		r = form_field(p + (pair.p - p), pair.n, at < 0 ? pair.n : (size_t)at,
			       &fields[count]);
		if (r)
			return err_trace(r);
		count++;
	}
	*ret_n = count;
	return 0;
}
