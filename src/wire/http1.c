/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/http1.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/util.h"

#define HTTP1_HEAD_MAX ((size_t)65536)

static const char http1_bad_coding[] = "This Transfer-Encoding is not supported: only chunked is.";
static const char http1_too_large[] = "The request body is too large.";

static struct http1 *http1_of(llhttp_t *p)
{
	return container_of(p, struct http1, parser);
}

static int http1_refuse(struct http1 *h, int status, const char *why)
{
	h->status = status;
	h->why = why;
	return HPE_USER;
}

/* Behind the line breaks that may come before a request. */
static int http1_on_begin(llhttp_t *p)
{
	http1_of(p)->started = true;
	return 0;
}

static int http1_add(struct http1 *h, const char *p, size_t n, int status)
{
	h->head_seen += n;
	if (h->head_seen > h->limits->head_bytes || buf_append(&h->text, p, n) < 0)
		return http1_refuse(h, status,
				    status == 414 ? "The request line is too long."
						  : "The request's headers are too long.");
	return 0;
}

static int http1_on_url(llhttp_t *p, const char *at, size_t n)
{
	struct http1 *h = http1_of(p);

	h->target_n += (uint32_t)n;
	return http1_add(h, at, n, 414);
}

static int http1_on_field(llhttp_t *p, const char *at, size_t n)
{
	struct http1 *h = http1_of(p);

	if (h->in_value || !h->n_fields) {
		if (h->n_fields >= h->limits->headers)
			return http1_refuse(h, 431, "The request has too many headers.");
		if (h->n_fields == h->fields_room) {
			h->fields_room = MAX(h->fields_room * 2, 16);
			h->fields = mem_realloc(h->fields, h->fields_room * sizeof(*h->fields));
		}
		h->fields[h->n_fields++] = (struct http1_field){ .name = (uint32_t)h->text.n };
		h->in_value = false;
		h->head_seen += 4; /* ": " and the line break */
	}
	h->fields[h->n_fields - 1].name_n += (uint32_t)n;
	return http1_add(h, at, n, 431);
}

static int http1_on_value(llhttp_t *p, const char *at, size_t n)
{
	struct http1 *h = http1_of(p);
	struct http1_field *f = &h->fields[h->n_fields - 1];

	if (!h->in_value)
		f->value = (uint32_t)h->text.n;
	h->in_value = true;
	f->value_n += (uint32_t)n;
	return http1_add(h, at, n, 431);
}

static int http1_on_value_complete(llhttp_t *p)
{
	struct http1 *h = http1_of(p);

	/* An empty value has no span. */
	if (!h->in_value && h->n_fields)
		h->fields[h->n_fields - 1].value = (uint32_t)h->text.n;
	h->in_value = true;
	return 0;
}

static int http1_on_head(llhttp_t *p)
{
	struct http1 *h = http1_of(p);

	if (p->http_major != 1 || p->http_minor > 1)
		return http1_refuse(h, 505, "Only HTTP/1.0 and HTTP/1.1 are spoken here.");
	if ((p->flags & F_TRANSFER_ENCODING) && !(p->flags & F_CHUNKED))
		return http1_refuse(h, 501, http1_bad_coding);
	/* That number means something else here. */
	if ((p->flags & F_CONTENT_LENGTH) && p->content_length == HTTP_LENGTH_UNKNOWN)
		return http1_refuse(h, 413, http1_too_large);
	/* No protocol is switched to: an Upgrade header is an offer that may be ignored. */
	p->upgrade = 0;
	h->flags = p->flags;
	/* A body of known length is taken by the connection; the parser only sees chunked ones. */
	if (!(p->flags & F_CHUNKED))
		p->flags |= F_SKIPBODY;
	h->event = HTTP1_HEAD;
	return HPE_PAUSED;
}

/* What a chunk announces is looked at before it is waited for. */
static int http1_on_chunk(llhttp_t *p)
{
	struct http1 *h = http1_of(p);

	if (p->content_length > h->limits->body_bytes - h->chunks)
		return http1_refuse(h, 413, http1_too_large);
	h->chunks += p->content_length;
	return 0;
}

static int http1_on_body(llhttp_t *p, const char *at, size_t n)
{
	struct http1 *h = http1_of(p);

	h->piece = slice_make(at, n);
	h->event = HTTP1_BODY;
	return HPE_PAUSED;
}

/* What trailers say of the connection does not count (RFC 9110, 6.5.1): behind a proxy the next
 * request on it may be somebody else's. */
static int http1_on_end(llhttp_t *p)
{
	struct http1 *h = http1_of(p);

	p->flags = h->flags;
	h->event = HTTP1_END;
	return HPE_PAUSED;
}

static const llhttp_settings_t http1_settings = {
	.on_message_begin = http1_on_begin,
	.on_url = http1_on_url,
	.on_header_field = http1_on_field,
	.on_header_value = http1_on_value,
	.on_header_value_complete = http1_on_value_complete,
	.on_headers_complete = http1_on_head,
	.on_chunk_header = http1_on_chunk,
	.on_body = http1_on_body,
	.on_message_complete = http1_on_end,
};

static void http1_reset(struct http1 *h)
{
	buf_clear(&h->text);
	h->n_fields = 0;
	h->target_n = 0;
	h->head_seen = 0;
	h->chunks = 0;
	h->in_value = h->started = false;
}

void http1_init(struct http1 *h, const struct http1_limits *limits)
{
	memset(h, 0, sizeof(*h));
	llhttp_init(&h->parser, HTTP_REQUEST, &http1_settings);
	h->limits = limits;
	buf_init(&h->text, HTTP1_HEAD_MAX);
}

void http1_finish(struct http1 *h)
{
	buf_finish(&h->text);
	free(h->fields);
	h->fields = NULL;
}

static enum http1_event http1_failed(struct http1 *h, llhttp_errno_t e)
{
	if (h->status)
		return HTTP1_REFUSE;
	h->status = 400;
	h->why = "Invalid HTTP message.";
	/* With a Content-Length beside it, it is not a matter of what is supported. */
	if (e == HPE_INVALID_TRANSFER_ENCODING && !(h->parser.flags & F_CONTENT_LENGTH))
		http1_refuse(h, 501, http1_bad_coding);
	else if (e == HPE_PAUSED_H2_UPGRADE ||
		 (e == HPE_INVALID_VERSION &&
		  (h->parser.http_major != 1 || h->parser.http_minor > 1)))
		http1_refuse(h, 505, "Only HTTP/1.0 and HTTP/1.1 are spoken here.");
	return HTTP1_REFUSE;
}

enum http1_event http1_feed(struct http1 *h, struct slice in, size_t *ret_eaten)
{
	llhttp_errno_t e = llhttp_execute(&h->parser, in.p ? in.p : "", in.n);

	if (e == HPE_OK) {
		*ret_eaten = in.n;
		return HTTP1_MORE;
	}
	if (e != HPE_PAUSED)
		return http1_failed(h, e);
	*ret_eaten = in.n ? (size_t)(llhttp_get_error_pos(&h->parser) - in.p) : 0;
	assert(*ret_eaten <= in.n);
	llhttp_resume(&h->parser);
	if (h->event == HTTP1_END)
		http1_reset(h);
	return h->event;
}

void http1_body_taken(struct http1 *h)
{
	size_t eaten;
	enum http1_event e = http1_feed(h, SLICE_NULL, &eaten);

	assert(e == HTTP1_END);
	(void)e;
}

/* "http://host/path" → "/path": proxies' form, of which only what follows the host matters here. */
static struct slice http1_path(struct slice target)
{
	bool plain = slice_istarts(target, SLICE("http://"));
	size_t at = plain ? strlen("http://") : strlen("https://");

	if (!plain && !slice_istarts(target, SLICE("https://")))
		return target;
	/* A query may follow the host at once, and have slashes of its own. */
	while (at < target.n && target.p[at] != '/' && target.p[at] != '?')
		at++;
	return at < target.n ? slice_make(target.p + at, target.n - at) : SLICE("/");
}

static int http1_check(const struct http_head *head)
{
	unsigned lengths = 0, hosts = 0, codings = 0, chunked = 0;

	for (size_t i = 0; i < head->n_headers; i++) {
		const struct http_header *h = &head->headers[i];

		lengths += slice_ieq(h->name, SLICE("content-length"));
		hosts += slice_ieq(h->name, SLICE("host"));
		if (!slice_ieq(h->name, SLICE("transfer-encoding")))
			continue;
		codings++;
		chunked += slice_ieq(h->value, SLICE("chunked"));
	}
	/* RFC 9112: 3.2 for the host, 6.1 for a transfer coding in HTTP/1.0 or beside a length. The
	 * parser takes an empty one for none; who is before us may not. */
	if (lengths > 1 || hosts > 1 || (head->minor && !hosts) ||
	    (codings && (!head->minor || lengths)))
		return 400;
	return codings == chunked ? 0 : 501;
}

int http1_head(struct http1 *h, struct region *r, struct http_head *ret)
{
	const llhttp_t *p = &h->parser;
	char *text = region_strndup(r, h->text.p, h->text.n);
	struct slice target = slice_make(text, h->target_n), rest = target, path;
	struct slice expect;
	int status;

	*ret = (struct http_head){ .method = slice_str(llhttp_method_name(p->method)),
				   .target = target,
				   .minor = p->http_minor,
				   .n_headers = h->n_fields,
				   .keep_alive = llhttp_should_keep_alive(p) };
	path = http1_path(slice_cut(&rest, '#')); /* what follows is the client's own affair */
	ret->path = slice_cut(&path, '?');
	ret->query = path;
	ret->headers = region_bytes(r, h->n_fields * sizeof(*ret->headers));
	for (uint32_t i = 0; i < h->n_fields; i++) {
		const struct http1_field *f = &h->fields[i];

		ret->headers[i].name = slice_make(text + f->name, f->name_n);
		ret->headers[i].value = slice_trim(slice_make(text + f->value, f->value_n));
	}
	ret->content_length = p->flags & F_CHUNKED          ? HTTP_LENGTH_UNKNOWN
			      : p->flags & F_CONTENT_LENGTH ? p->content_length
							    : 0;
	expect = http_head_get(ret, "expect");
	ret->expect_continue = ret->minor && slice_ieq(expect, SLICE("100-continue"));
	status = http1_check(ret);
	if (!status && expect.n && !slice_ieq(expect, SLICE("100-continue")))
		status = 417;
	return status;
}

/* ---- answers ---- */

static char *http1_put(char *p, struct slice s)
{
	if (s.n)
		memcpy(p, s.p, s.n);
	return p + s.n;
}

static char *http1_put_u64(char *p, uint64_t v)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	return http1_put(p, slice_make(digits + at, sizeof(digits) - at));
}

/* Always three digits. */
static char *http1_put_status(char *p, unsigned status)
{
	assert(status >= 100 && status < 1000);
	*p++ = (char)('0' + status / 100);
	*p++ = (char)('0' + status / 10 % 10);
	*p++ = (char)('0' + status % 10);
	return p;
}

size_t http1_write_head(char *p, const struct http1_answer *a)
{
	struct slice reason = a->reason.p ? a->reason : slice_str(http_status_phrase(a->status));
	char *at = http1_put(p, SLICE("HTTP/1.1 "));

	at = http1_put_status(at, (unsigned)a->status);
	*at++ = ' ';
	at = http1_put(at, reason);
	at = http1_put(at, SLICE("\r\n"));
	at = http1_put(at, a->headers);
	if (a->chunked) {
		at = http1_put(at, SLICE("transfer-encoding: chunked\r\n"));
	} else if (!a->no_length && a->content_length != HTTP_LENGTH_UNKNOWN) {
		at = http1_put(at, SLICE("content-length: "));
		at = http1_put_u64(at, a->content_length);
		at = http1_put(at, SLICE("\r\n"));
	}
	at = http1_put(at, a->close ? SLICE("connection: close\r\n\r\n")
				    : SLICE("connection: keep-alive\r\n\r\n"));
	return (size_t)(at - p);
}

size_t http1_write_chunk_size(char *p, uint64_t n)
{
	static const char hex[] = "0123456789abcdef";
	char digits[16];
	size_t at = sizeof(digits);
	char *end;

	do {
		digits[--at] = hex[n & 15];
		n >>= 4;
	} while (n);
	end = http1_put(p, slice_make(digits + at, sizeof(digits) - at));
	end = http1_put(end, SLICE("\r\n"));
	return (size_t)(end - p);
}
