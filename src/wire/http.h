/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What an HTTP request head means, whichever version of HTTP it came by. All slices point into the
 * exchange's region and live as long as the exchange.
 */

#include "base/buf.h"
#include "base/region.h"
#include "base/slice.h"

#define HTTP_LENGTH_UNKNOWN UINT64_MAX
#define HTTP_HOPS_MAX 32

struct http_header {
	struct slice name;  /* as sent */
	struct slice value; /* trimmed */
};

struct http_head {
	struct slice method; /* "GET" … */
	struct slice target; /* as sent, for logs */
	struct slice path;   /* target before '?' or '#', still percent-encoded */
	struct slice query;  /* after '?', up to '#'; SLICE_NULL when there is none */
	unsigned minor;      /* HTTP/1.x */
	struct http_header *headers;
	size_t n_headers;
	uint64_t content_length; /* 0 without a body, HTTP_LENGTH_UNKNOWN when chunked */
	bool keep_alive;         /* what the client asked for */
	bool expect_continue;
};

/* The first header of that name (ASCII case-insensitive), or SLICE_NULL. */
struct slice http_head_find(const struct http_head *h, struct slice name);
static inline struct slice http_head_get(const struct http_head *h, const char *name)
{
	return http_head_find(h, slice_str(name));
}
/* What a value of Connection names; of more than HTTP_HOPS_MAX the first ones. */
struct http_hops {
	struct slice names[HTTP_HOPS_MAX];
	unsigned n;
};
void http_hops_read(struct http_hops *h, struct slice connection);
/* Is a header of this name about one connection only (RFC 9110, 7.6.1): Connection, what that
 * names, and its kin? */
bool http_is_hop_by_hop(const struct http_hops *h, struct slice name);
/* The standard phrase ("OK", "Not Found"), or that of its class ("Client Error"). Never NULL. */
const char *http_status_phrase(int status);
/* Percent-decodes `s` into the region ('+' becomes a blank when `plus`). Returns false on a bad
 * escape or an encoded NUL. */
bool http_unescape(struct region *r, struct slice s, bool plus, struct slice *ret);
/* Walks a query: cuts the next name=value off *rest, decoded into the region.
 * 1: a pair; 0: no more; -EINVAL: a bad escape. */
int http_query_next(struct region *r, struct slice *rest, struct slice *name, struct slice *value);
/* One parameter of a Content-Type or Content-Disposition value; points into it. */
struct http_param {
	struct slice name, value; /* the value as sent, without the quotes around it */
	bool quoted;              /* so it may have backslashes: http_param_text() takes them out */
};
/* Walks the parameters: cuts the next one off *rest, which is what follows the first ';'. 1: there
 * is one; 0: no more. All of them together take linear time, and no memory. */
int http_param_next(struct slice *rest, struct http_param *ret);
/* Its value, in `header` or, where it has backslashes, in the region: no longer than it was sent.
 */
struct slice http_param_text(struct region *r, const struct http_param *p);
/* The value of the first parameter of that name, e.g. "boundary"; SLICE_NULL when absent. */
struct slice http_param(struct region *r, struct slice header, const char *name);
/* The media type before ';', trimmed. */
struct slice http_media_type(struct slice header);
/* May this be sent as a header name / value? No CR, LF, NUL; names are RFC 9110 tokens. */
bool http_name_valid(struct slice name);
bool http_value_valid(struct slice value);
