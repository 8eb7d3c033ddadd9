/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/json.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#define JSON_TEXT_MAX ((size_t)1 << 20)

/* Length of the UTF-8 sequence at p, 0 when it is none (RFC 3629: shortest form, no surrogates). */
static size_t json_utf8_length(const unsigned char *p, size_t n)
{
	static const struct {
		unsigned char first_min, first_max, second_min, second_max;
		unsigned char length;
	} forms[] = { { 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 },
		      { 0xe1, 0xec, 0x80, 0xbf, 3 }, { 0xed, 0xed, 0x80, 0x9f, 3 },
		      { 0xee, 0xef, 0x80, 0xbf, 3 }, { 0xf0, 0xf0, 0x90, 0xbf, 4 },
		      { 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 } };

	if (p[0] < 0x80)
		return 1;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		if (p[0] < forms[i].first_min || p[0] > forms[i].first_max)
			continue;
		if (n < forms[i].length || p[1] < forms[i].second_min || p[1] > forms[i].second_max)
			return 0;
		for (size_t k = 2; k < forms[i].length; k++)
			if ((p[k] & 0xc0) != 0x80)
				return 0;
		return forms[i].length;
	}
	return 0;
}

static void json_put_ascii(struct buf *out, unsigned char c)
{
	static const char escapes[] = "btnvfr";

	if (c == '"' || c == '\\')
		buf_printf(out, "\\%c", c);
	else if (c >= 8 && c <= 13 && c != 11)
		buf_printf(out, "\\%c", escapes[c - 8]);
	else if (c < 0x20)
		buf_printf(out, "\\u%04x", c);
	else
		buf_putc(out, (char)c);
}

void json_put_string(struct buf *out, struct slice s)
{
	const unsigned char *p = (const unsigned char *)s.p;
	size_t length;

	buf_putc(out, '"');
	for (size_t i = 0; i < s.n; i += length) {
		length = json_utf8_length(p + i, s.n - i);
		if (length == 1)
			json_put_ascii(out, p[i]);
		else if (length)
			buf_append(out, p + i, length);
		else
			buf_puts(out, "\xef\xbf\xbd");
		length = length ? length : 1;
	}
	buf_putc(out, '"');
}

void json_status(struct buf *out, const char *fmt, ...)
{
	va_list ap;
	char *text;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	assert(n >= 0);
	buf_puts(out, "{\n  \"status\": ");
	json_put_string(out, slice_make(text, (size_t)n));
	buf_puts(out, "\n}\n");
	free(text);
}

void json_error(struct buf *out, int code, const char *type, struct slice message)
{
	buf_printf(out, "{\n  \"code\": %d,\n  \"type\": ", code);
	json_put_string(out, slice_str(type));
	buf_puts(out, ",\n  \"message\": ");
	json_put_string(out, message);
	buf_puts(out, "\n}\n");
}

int json_write_pretty(struct buf *out, const yyjson_mut_doc *doc)
{
	size_t n;
	char *text = yyjson_mut_write_opts(
		doc, YYJSON_WRITE_PRETTY_TWO_SPACES | YYJSON_WRITE_ALLOW_INVALID_UNICODE, NULL, &n,
		NULL);
	int r;

	if (!text)
		return -1;
	r = buf_append(out, text, n);
	free(text);
	return r ? r : buf_putc(out, '\n');
}

struct slice json_text(struct region *r, yyjson_val *object, const char *key)
{
	yyjson_val *v = yyjson_obj_get(object, key);
	char *text;

	if (yyjson_is_str(v))
		return region_copy(r, slice_make(yyjson_get_str(v), yyjson_get_len(v)));
	if (yyjson_is_bool(v))
		return yyjson_get_bool(v) ? SLICE("true") : SLICE("false");
	if (yyjson_is_int(v)) {
		text = yyjson_is_uint(v)
			       ? region_printf(r, "%llu", (unsigned long long)yyjson_get_uint(v))
			       : region_printf(r, "%lld", (long long)yyjson_get_sint(v));
		return slice_str(text);
	}
	if (yyjson_is_real(v))
		return slice_str(region_printf(r, "%.17g", yyjson_get_real(v)));
	return SLICE_NULL;
}

bool json_i64(yyjson_val *object, const char *key, int64_t *ret)
{
	yyjson_val *v = yyjson_obj_get(object, key);

	if (yyjson_is_uint(v) && yyjson_get_uint(v) > INT64_MAX)
		return false;
	if (yyjson_is_int(v)) {
		*ret = yyjson_get_sint(v);
		return true;
	}
	if (yyjson_is_str(v))
		return slice_i64(slice_make(yyjson_get_str(v), yyjson_get_len(v)), ret);
	return false;
}

bool json_bool(yyjson_val *object, const char *key, bool *ret)
{
	yyjson_val *v = yyjson_obj_get(object, key);
	struct slice s = slice_make(yyjson_get_str(v), yyjson_get_len(v));

	if (yyjson_is_bool(v)) {
		*ret = yyjson_get_bool(v);
		return true;
	}
	if (!yyjson_is_str(v) || (!slice_ieq(s, SLICE("true")) && !slice_ieq(s, SLICE("false"))))
		return false;
	*ret = slice_ieq(s, SLICE("true"));
	return true;
}
