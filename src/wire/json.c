/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/number.h"
#include "base/utf8.h"

#define JSON_TEXT_MAX ((size_t)1 << 20)
#define JSON_SLACK ((size_t)65536) /* what a writer takes in advance, whatever comes */

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

static size_t json_ascii(struct slice s)
{
	size_t n = 0;

	while (n < s.n && (unsigned char)s.p[n] < 0x80)
		n++;
	return n;
}

/* What is no UTF-8 becomes U+FFFD. */
static void json_put_clean(struct buf *out, struct slice s)
{
	while (s.n) {
		size_t ascii = json_ascii(s), n = ascii ? ascii : utf8_char(s, NULL);

		buf_put_slice(out, n ? slice_make(s.p, n) : UTF8_REPLACEMENT);
		n = n ? n : 1;
		s = slice_make(s.p + n, s.n - n);
	}
}

/* Memory for a document's text, up to a bound: indentation alone may be very many times what is
 * indented. */
static void *json_alloc(void *max, size_t n)
{
	return n <= *(const size_t *)max ? malloc(n) : NULL;
}

static void *json_realloc(void *max, void *p, size_t old, size_t n)
{
	(void)old;
	return n <= *(const size_t *)max ? realloc(p, n) : NULL;
}

static void json_free(void *max, void *p)
{
	(void)max;
	free(p);
}

static char *json_write(const yyjson_mut_doc *doc, yyjson_write_flag how, size_t max, size_t *ret_n)
{
	const yyjson_alc bounded = { json_alloc, json_realloc, json_free, &max };

	return yyjson_mut_write_opts(doc, how | YYJSON_WRITE_ALLOW_INVALID_UNICODE, &bounded, ret_n,
				     NULL);
}

int json_write_pretty(struct buf *out, const yyjson_mut_doc *doc)
{
	size_t max = JSON_SLACK + 2 * out->max, n;
	char *text = json_write(doc, YYJSON_WRITE_PRETTY_TWO_SPACES, max, &n);

	if (!text || n >= out->max) {
		free(text);
		text = json_write(doc, YYJSON_WRITE_NOFLAG, max, &n);
	}
	if (!text)
		return -ENOBUFS;
	json_put_clean(out, slice_make(text, n));
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
