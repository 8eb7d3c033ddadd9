/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/http.h"

#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"

void http_hops_read(struct http_hops *h, struct slice connection)
{
	h->n = 0;
	while (connection.n && h->n < HTTP_HOPS_MAX) {
		struct slice name = slice_trim(slice_cut(&connection, ','));

		if (name.n)
			h->names[h->n++] = name;
	}
}

bool http_is_hop_by_hop(const struct http_hops *h, struct slice name)
{
	static const struct slice known[] = { SLICE_CONST("connection"),
					      SLICE_CONST("transfer-encoding"),
					      SLICE_CONST("expect"),
					      SLICE_CONST("keep-alive"),
					      SLICE_CONST("te"),
					      SLICE_CONST("trailer"),
					      SLICE_CONST("upgrade"),
					      SLICE_CONST("proxy-connection"),
					      SLICE_CONST("proxy-authorization"),
					      SLICE_CONST("proxy-authenticate") };

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (slice_ieq(name, known[i]))
			return true;
	for (unsigned i = 0; i < h->n; i++)
		if (slice_ieq(h->names[i], name))
			return true;
	return false;
}

struct slice http_head_find(const struct http_head *h, struct slice name)
{
	for (size_t i = 0; i < h->n_headers; i++)
		if (slice_ieq(h->headers[i].name, name))
			return h->headers[i].value;
	return SLICE_NULL;
}

static const char *http_status_class(int status)
{
	static const char *const classes[] = { "Informational", "Success", "Redirection",
					       "Client Error", "Server Error" };

	return status >= 100 && status < 600 ? classes[status / 100 - 1] : "Unknown";
}

const char *http_status_phrase(int status)
{
	static const struct {
		int status;
		const char *phrase;
	} phrases[] = {
		{ 100, "Continue" },
		{ 101, "Switching Protocols" },
		{ 200, "OK" },
		{ 201, "Created" },
		{ 202, "Accepted" },
		{ 203, "Non-Authoritative Information" },
		{ 204, "No Content" },
		{ 205, "Reset Content" },
		{ 206, "Partial Content" },
		{ 207, "Multi-Status" },
		{ 300, "Multiple Choices" },
		{ 301, "Moved Permanently" },
		{ 302, "Found" },
		{ 303, "See Other" },
		{ 304, "Not Modified" },
		{ 307, "Temporary Redirect" },
		{ 308, "Permanent Redirect" },
		{ 400, "Bad Request" },
		{ 401, "Unauthorized" },
		{ 402, "Payment Required" },
		{ 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 406, "Not Acceptable" },
		{ 408, "Request Timeout" },
		{ 409, "Conflict" },
		{ 410, "Gone" },
		{ 411, "Length Required" },
		{ 412, "Precondition Failed" },
		{ 413, "Request Entity Too Large" },
		{ 414, "Request-URI Too Long" },
		{ 415, "Unsupported Media Type" },
		{ 416, "Requested Range Not Satisfiable" },
		{ 417, "Expectation Failed" },
		{ 422, "Unprocessable Entity" },
		{ 423, "Locked" },
		{ 424, "Failed Dependency" },
		{ 426, "Upgrade Required" },
		{ 428, "Precondition Required" },
		{ 429, "Too Many Requests" },
		{ 431, "Request Header Fields Too Large" },
		{ 500, "Internal Server Error" },
		{ 501, "Not Implemented" },
		{ 502, "Bad Gateway" },
		{ 503, "Service Unavailable" },
		{ 504, "Gateway Timeout" },
		{ 505, "HTTP Version Not Supported" },
		{ 507, "Insufficient Storage" },
		{ 511, "Network Authentication Required" },
	};

	for (size_t i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++)
		if (phrases[i].status == status)
			return phrases[i].phrase;
	return http_status_class(status);
}

static int http_hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool http_unescape(struct region *r, struct slice s, bool plus, struct slice *ret)
{
	char *p;
	size_t n = 0;

	if (slice_find(s, '%') < 0 && (!plus || slice_find(s, '+') < 0)) {
		*ret = slice_make(s.p ? s.p : "", s.n);
		return true;
	}
	p = region_alloc(r, s.n + 1);
	for (size_t i = 0; i < s.n; i++, n++) {
		int high, low;

		if (s.p[i] != '%') {
			p[n] = plus && s.p[i] == '+' ? ' ' : s.p[i];
			continue;
		}
		high = i + 2 < s.n ? http_hex(s.p[i + 1]) : -1;
		low = high >= 0 ? http_hex(s.p[i + 2]) : -1;
		if (low < 0 || (high | low) == 0)
			return false;
		p[n] = (char)(high << 4 | low);
		i += 2;
	}
	*ret = slice_make(p, n);
	return true;
}

/* TorchServe takes ';' for '&', as HTML once recommended. */
static struct slice http_query_cut(struct slice *rest)
{
	struct slice whole = *rest, pair;
	size_t n = 0;

	while (n < whole.n && whole.p[n] != '&' && whole.p[n] != ';')
		n++;
	pair = slice_make(whole.p, n);
	*rest = n < whole.n ? slice_make(whole.p + n + 1, whole.n - n - 1) : SLICE_NULL;
	return pair;
}

int http_query_next(struct region *r, struct slice *rest, struct slice *name, struct slice *value)
{
	while (rest->p) {
		struct slice pair = http_query_cut(rest), v = pair, n = slice_cut(&v, '=');

		if (!pair.n)
			continue;
		if (!http_unescape(r, n, true, name) || !http_unescape(r, v, true, value))
			return err_origin(-EINVAL);
		return 1;
	}
	return 0;
}

static void http_skip(struct slice *s, size_t n)
{
	assert(n <= s->n);
	*s = slice_make(s->p + n, s->n - n);
}

/* A quoted string or a token, starting at *s, which moves behind it and its ';'. Only a look: the
 * result is as it was sent, without the quotes around it. */
static struct slice http_param_value(struct slice *s, bool *quoted)
{
	struct slice value;
	size_t i = 1;

	*quoted = s->n && s->p[0] == '"';
	if (!*quoted) {
		value = slice_trim(slice_cut(s, ';'));
		return slice_make(value.p ? value.p : "", value.n);
	}
	while (i < s->n && s->p[i] != '"')
		i += s->p[i] == '\\' ? 2 : 1;
	i = MIN(i, s->n);
	value = slice_make(s->p + 1, i - 1);
	http_skip(s, MIN(i + 1, s->n));
	slice_cut(s, ';');
	return value;
}

/* Takes the backslashes out of what stood between quotes. */
static struct slice http_unquote(struct region *r, struct slice s)
{
	size_t n = 0;
	char *p;

	if (slice_find(s, '\\') < 0)
		return s;
	p = region_alloc(r, s.n + 1);
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\\' && i + 1 < s.n)
			i++;
		p[n++] = s.p[i];
	}
	return slice_make(p, n);
}

int http_param_next(struct slice *rest, struct http_param *ret)
{
	while (rest->p && rest->n) {
		size_t n = 0;

		while (n < rest->n && rest->p[n] != '=' && rest->p[n] != ';')
			n++;
		if (n == rest->n)
			break;
		ret->name = slice_trim(slice_make(rest->p, n));
		if (rest->p[n] == ';') {
			http_skip(rest, n + 1);
			continue;
		}
		http_skip(rest, n + 1);
		while (rest->n && (rest->p[0] == ' ' || rest->p[0] == '\t'))
			http_skip(rest, 1);
		ret->value = http_param_value(rest, &ret->quoted);
		return 1;
	}
	return 0;
}

struct slice http_param_text(struct region *r, const struct http_param *p)
{
	return p->quoted ? http_unquote(r, p->value) : p->value;
}

struct slice http_param(struct region *r, struct slice header, const char *name)
{
	struct slice rest = header, want = slice_str(name);
	struct http_param p;

	slice_cut(&rest, ';');
	while (http_param_next(&rest, &p))
		if (slice_ieq(p.name, want))
			return http_param_text(r, &p);
	return SLICE_NULL;
}

struct slice http_media_type(struct slice header)
{
	struct slice rest = header;

	return slice_trim(slice_cut(&rest, ';'));
}

/* Of a token (RFC 9110). */
static const bool http_token[256] = {
	['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['!'] = true,
	['#'] = true,         ['$'] = true,         ['%'] = true,         ['&'] = true,
	['\''] = true,        ['*'] = true,         ['+'] = true,         ['-'] = true,
	['.'] = true,         ['^'] = true,         ['_'] = true,         ['`'] = true,
	['|'] = true,         ['~'] = true,
};

bool http_name_valid(struct slice name)
{
	for (size_t i = 0; i < name.n; i++)
		if (!http_token[(unsigned char)name.p[i]])
			return false;
	return name.n;
}

/* Eight bytes, none of which is a control character. True may be wrong of none, false of some. */
static bool http_value_word(const char *p)
{
	const uint64_t each = UINT64_C(0x0101010101010101);
	uint64_t w, del;

	memcpy(&w, p, sizeof(w));
	del = w ^ (each * 0x7f);
	return !((((w - each * 0x20) & ~w) | ((del - each) & ~del)) & (each * 0x80));
}

bool http_value_valid(struct slice value)
{
	size_t i = 0;

	while (value.n - i >= sizeof(uint64_t) && http_value_word(value.p + i))
		i += sizeof(uint64_t);
	for (; i < value.n; i++) {
		unsigned char c = (unsigned char)value.p[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}
