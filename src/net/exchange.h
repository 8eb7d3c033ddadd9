/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One request and its answer: the seam between net/ (bytes, sockets, protocols) and api/ (meaning).
 * An exchange knows neither the socket nor the protocol it came by: it records what is answered,
 * and its carrier (a connection with the parser of its protocol) takes that from it.
 *
 * The rule: nothing that an exchange is told acts at once. exchange_…() only record; what they
 * recorded is sent, and connections are closed, in one place at the end of the loop's turn
 * (net_turn()). So none of them closes, frees or calls back, `x` stays what it was, and they may be
 * called from anywhere, done() of another exchange included. Loop thread only.
 *
 * Life: the carrier creates it when a head is complete and calls handler->head(). The API layer
 * either answers, at once or later, or sets x->sink (a body) and answers after handler->body().
 * handler->done() is always the last call, exactly once, also when the client left, and only from
 * net_turn(); after it the exchange and its region are gone.
 */

#include "base/list.h"
#include "base/region.h"
#include "net/sink.h"
#include "wire/http.h"

struct carrier;
struct exchange;
struct piece;

/* Bytes on their way to a client, and who to tell when they are no longer needed (sent, or the
 * client left). `release` may be NULL for memory that outlives the exchange or lives in its
 * region. A slow client's small remainder may be copied and released early. release() must not
 * call exchange_…() of this exchange. */
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
	/* Writes the header lines and the document of an error that net answers with by itself.
	 * `x`: the exchange, where it has a head, even if head() was not called because of what
	 * that says; NULL: there is none, and no done() will follow. */
	void (*refusal)(void *ctx, struct exchange *x, int status, const char *why,
			struct buf *headers, struct buf *body);
};

struct answer {
	int status;          /* 200…599 */
	struct slice reason; /* SLICE_NULL: the standard phrase */
	/* Complete header lines ("Name: value\r\n" …), without Content-Length, Transfer-Encoding
	 * and Connection, which the protocol writes. Copied. */
	struct slice headers;
	bool close; /* no more requests on this connection */
};

/* A part of an answer's body that has not gone yet. */
struct piece {
	struct piece *next;
	const char *p;
	size_t n;
	void (*release)(void *arg);
	void *arg;
	/* What its protocol puts around it: before, after. */
	char frame[20];
	uint8_t frame_at, frame_n, tail_n;
	bool own; /* allocated for itself */
};

#define EXCHANGE_PIECES 3 /* that need no memory of their own: enough for a whole answer */

/* What was answered. The carrier takes it from here. */
struct exchange_out {
	struct answer answer;
	uint64_t length; /* of the body; HTTP_LENGTH_UNKNOWN: a stream */
	bool begun, finished, aborted;
	bool bodiless; /* HEAD, or a status without a body: what comes is dropped */
	struct piece *first, *last, *unframed; /* unframed: those from here on are new */
	struct piece pieces[EXCHANGE_PIECES];
	unsigned n_pieces; /* of these that were used */
	size_t pending;    /* bytes of pieces */
};

struct exchange {
	struct list link; /* the carrier's */
	const struct carrier *carrier;
	const struct exchange_handler *handler;
	struct region region; /* memory of this request */
	struct http_head head;
	struct sink *sink;   /* set by the API layer in head() to receive a body; when it
			      * stays NULL the body is read and dropped within limits */
	void *user;          /* the API layer's own */
	uint64_t began_ns;   /* turn_now_ns() when the head was complete */
	int status;          /* of the answer; 0 before there is one */
	uint64_t bytes_sent; /* of the answer's body */
	struct exchange_out out;
};

/* How an exchange reaches its client. */
struct carrier {
	/* Something was recorded: remember to look, later. */
	void (*touched)(struct exchange *x);
	const char *(*peer)(const struct exchange *x);
	uint64_t (*delivered)(const struct exchange *x);
};

/* The whole answer. HEAD requests send no body but its Content-Length, 204 and 304 neither. */
void exchange_reply(struct exchange *x, const struct answer *a, struct payload body);

/* A streamed answer: begin, any number of chunks, then finish or abort. HTTP/1.1 gets chunked
 * coding, HTTP/1.0 gets the bytes until close. Who streams bounds what is on its way, by what
 * release() tells. */
void exchange_begin(struct exchange *x, const struct answer *a);
void exchange_chunk(struct exchange *x, struct payload data);
void exchange_finish(struct exchange *x);
/* The answer breaks off: the connection closes without its last chunk, or is reset where there are
 * no chunks, so the client can tell. (A Unix socket cannot be reset.) */
void exchange_abort(struct exchange *x);

/* How many bytes of the answer's body the client's socket has taken by now, of pieces that have
 * gone in part, too. */
uint64_t exchange_delivered(const struct exchange *x);

/* "/127.0.0.1:4711", or "/unix" for a Unix socket; valid while the exchange lives. */
const char *exchange_peer(const struct exchange *x);

/* ---- for carriers ---- */

/* Puts a piece before all others (a head) or at the end; not counted as the answer's body. */
void exchange_put_first(struct exchange *x, const char *p, size_t n);
void exchange_put_last(struct exchange *x, const char *p, size_t n);
/* The first piece has gone: releases it. */
void exchange_piece_done(struct exchange *x);
void exchange_drop_pieces(struct exchange *x);
