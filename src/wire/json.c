/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/json.h"

#include <string.h>

#include "base/mem.h"
#include "base/number.h"
#include "base/utf8.h"

#define JSON_TEXT_MAX ((size_t)1 << 20)

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

/* Bytes at the front that stay as they are, all of them ASCII: in most texts that is all. */
static size_t json_plain(struct slice s)
{
	size_t n = 0;

	while (n < s.n && s.p[n] >= 0x20 && s.p[n] < 0x7f && s.p[n] != '"' && s.p[n] != '\\')
		n++;
	return n;
}

void json_put_string(struct buf *out, struct slice s)
{
	buf_putc(out, '"');
	while (s.n) {
		size_t plain = json_plain(s), n = plain ? plain : utf8_char(s, NULL);

		if (plain || n > 1)
			buf_put_slice(out, slice_make(s.p, n));
		else if (n)
			json_put_ascii(out, (unsigned char)*s.p);
		else
			buf_put_slice(out, UTF8_REPLACEMENT);
		n = n ? n : 1;
		s = slice_make(s.p + n, s.n - n);
	}
	buf_putc(out, '"');
}

void json_put_member(struct buf *out, const char *key, const char *value)
{
	bool first = out->n && out->p[out->n - 1] == '{';

	buf_printf(out, "%s\"%s\":", first ? "" : ",", key);
	json_put_string(out, slice_str(value ? value : ""));
}

void json_status(struct buf *out, struct slice text)
{
	buf_puts(out, "{\n  \"status\": ");
	json_put_string(out, text);
	buf_puts(out, "\n}\n");
}

void json_error(struct buf *out, int code, const char *type, struct slice message)
{
	buf_printf(out, "{\n  \"code\": %d,\n  \"type\": ", code);
	json_put_string(out, slice_str(type));
	buf_puts(out, ",\n  \"message\": ");
	json_put_string(out, message);
	buf_puts(out, "\n}\n");
}

/* What is no UTF-8 becomes U+FFFD. */
static void json_put_clean(struct buf *out, struct slice s)
{
	while (s.n) {
		size_t n = utf8_char(s, NULL);

		buf_put_slice(out, n ? slice_make(s.p, n) : UTF8_REPLACEMENT);
		n = n ? n : 1;
		s = slice_make(s.p + n, s.n - n);
	}
}

int json_write_pretty(struct buf *out, const yyjson_mut_doc *doc)
{
	const yyjson_write_flag pretty = YYJSON_WRITE_PRETTY_TWO_SPACES;
	size_t n;
	char *text = yyjson_mut_write_opts(doc, pretty, NULL, &n, NULL);

	if (!text) {
		text = yyjson_mut_write_opts(doc, pretty | YYJSON_WRITE_ALLOW_INVALID_UNICODE, NULL,
					     &n, NULL);
		if (!text)
			return -1;
		json_put_clean(out, slice_make(text, n));
	} else {
		buf_append(out, text, n);
	}
	free(text);
	return buf_putc(out, '\n');
}

struct slice json_value_text(struct region *r, yyjson_val *v)
{
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

struct slice json_text(struct region *r, yyjson_val *object, const char *key)
{
	return json_value_text(r, yyjson_obj_get(object, key));
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
	if (yyjson_is_real(v))
		return number_from_double(yyjson_get_real(v), ret);
	if (yyjson_is_str(v))
		return number_from_text(slice_make(yyjson_get_str(v), yyjson_get_len(v)), ret);
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
