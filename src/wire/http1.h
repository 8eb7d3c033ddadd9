/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * HTTP/1 requests from bytes, and answer heads to bytes. Built on llhttp in its strict mode, so
 * what smuggles (both Content-Length and Transfer-Encoding, repeated lengths, bare line feeds, bad
 * chunk sizes, folded lines) is refused. No I/O. Fuzzed.
 *
 * The parser stops after each message, and before a body of known length, which the connection
 * reads by itself, straight into its place.
 */

#include <llhttp.h>

#include "wire/http.h"

struct http1_limits {
	size_t head_bytes, headers;
	uint64_t body_bytes; /* of chunked bodies, whose sizes only the parser sees */
};

enum http1_event {
	HTTP1_MORE,   /* everything was eaten; feed more */
	HTTP1_HEAD,   /* a head is complete: http1_head() */
	HTTP1_BODY,   /* bytes of a chunked body: `piece` */
	HTTP1_END,    /* the message is complete */
	HTTP1_REFUSE, /* the client broke a rule: `status` and `why`; nothing more can be read */
};

struct http1_field {
	uint32_t name, name_n, value, value_n; /* offsets into the text */
};

struct http1 {
	llhttp_t parser;
	const struct http1_limits *limits;
	struct buf text; /* the head so far: target, names, values */
	struct http1_field *fields;
	uint32_t n_fields, fields_room;
	uint32_t target_n;
	bool in_value, started; /* started: some byte of a head was seen */
	uint16_t flags;         /* the parser's, as the head has set them */
	enum http1_event event;
	size_t head_seen;
	struct slice piece;
	uint64_t chunks; /* bytes that the body's chunks so far have announced */
	int status;
	const char *why;
};

void http1_init(struct http1 *h, const struct http1_limits *limits);
void http1_finish(struct http1 *h);
/* Eats from `in` up to the next event; *ret_eaten says how much. */
enum http1_event http1_feed(struct http1 *h, struct slice in, size_t *ret_eaten);
/* After HTTP1_HEAD: copies the head into `r`. 0, or a status to refuse the request with. */
int http1_head(struct http1 *h, struct region *r, struct http_head *ret);
/* The connection has taken the body of known length itself. */
void http1_body_taken(struct http1 *h);

/* ---- answers ---- */

#define HTTP1_HEAD_ROOM                                                                            \
	((size_t)192) /* status line, framing and blank line, without `headers` and `reason` */

struct http1_answer {
	int status;
	unsigned minor;          /* of the request */
	struct slice reason;     /* SLICE_NULL: standard */
	struct slice headers;    /* complete lines */
	uint64_t content_length; /* or HTTP_LENGTH_UNKNOWN */
	bool no_length;          /* neither is written: 204, 304 */
	bool chunked, close;
};

/* Writes the head to `p`, which has HTTP1_HEAD_ROOM + reason.n + headers.n bytes; returns its
 * length. */
size_t http1_write_head(char *p, const struct http1_answer *a);
/* Writes "<hex>\r\n" for a chunk of n bytes; at most 18 bytes. */
size_t http1_write_chunk_size(char *p, uint64_t n);
