/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One request and its answer on a connection: the seam between net/ (bytes, sockets, HTTP rules)
 * and api/ (meaning). Exchanges of one connection are answered in the order they arrived, however
 * early a later one is ready. Loop thread only.
 *
 * Life: net creates it when a head is complete and calls handler->head(). The API layer either
 * answers at once with exchange_reply(), or sets x->sink (a body) and answers from
 * handler->body() or later. handler->done() is always the last call, exactly once, also when the
 * client left; after it the exchange and its region are gone.
 */

#include <sys/uio.h>

#include "base/list.h"
#include "base/region.h"
#include "net/sink.h"
#include "wire/http.h"

struct conn;
struct exchange;

/* Bytes on their way to a client, and who to tell when they are no longer needed (sent, or the
 * client left). `release` may be NULL for memory that outlives the exchange or lives in its
 * region. A slow client's small remainder may be copied and released early. */
struct payload {
	const void *p;
	size_t n;
	void (*release)(void *arg);
	void *arg;
};

#define PAYLOAD_NONE ((struct payload){ 0 })

enum exchange_end {
	EXCHANGE_SENT, /* the whole answer was handed to the kernel */
	EXCHANGE_GONE, /* the client left or was cut off first */
};

struct exchange_handler {
	void *ctx;
	/* The head is complete (x->head). See above. */
	void (*head)(void *ctx, struct exchange *x);
	/* The body is complete in x->sink. */
	void (*body)(void *ctx, struct exchange *x);
	/* The exchange is over: its answer is out, or nobody will read one. The last call. */
	void (*done)(void *ctx, struct exchange *x, enum exchange_end how);
};

struct exchange {
	struct list link;  /* net: in its connection, oldest first */
	struct conn *conn; /* net */
	const struct exchange_handler *handler;
	struct region region; /* memory of this request */
	struct http_head head;
	struct sink *sink;   /* set by the API layer in head() to receive a body; when it
			      * stays NULL the body is read and dropped within limits */
	void *user;          /* the API layer's own */
	uint64_t began_ns;   /* clock_now_ns() when the head was complete */
	int status;          /* of the answer; 0 before there is one */
	uint64_t bytes_sent; /* of the answer's body */
};

struct answer {
	int status;
	struct slice reason; /* SLICE_NULL: the standard phrase */
	/* Complete header lines ("Name: value\r\n" …), without Content-Length, Transfer-Encoding
	 * and Connection, which net writes. Copied. */
	struct slice headers;
	bool close; /* close the connection after this answer */
};

/* The whole answer. HEAD requests and 204/304 send no body but keep Content-Length. */
void exchange_reply(struct exchange *x, const struct answer *a, struct payload body);

/* A streamed answer: begin, any number of chunks, then finish or abort. HTTP/1.1 gets chunked
 * coding, HTTP/1.0 gets the bytes until close. */
void exchange_begin(struct exchange *x, const struct answer *a);
void exchange_chunk(struct exchange *x, struct payload data);
void exchange_finish(struct exchange *x);
/* The answer breaks off: the connection closes without its last chunk, so the client can tell. */
void exchange_abort(struct exchange *x);

/* Bytes accepted by exchange_chunk() but not yet by the kernel: for back-pressure. */
size_t exchange_pending(const struct exchange *x);
/* "/127.0.0.1:4711", or "/unix" for a Unix socket; valid while the exchange lives. */
const char *exchange_peer(const struct exchange *x);
