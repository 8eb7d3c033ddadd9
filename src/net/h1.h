/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Internal to net/: HTTP/1 on a connection: where its parser is, the body that is being read, and
 * its exchanges, whose answers leave in the order of their requests. A second protocol would be a
 * sibling of this with the same functions.
 *
 * A body belongs to the connection: it is read to its end whether or not its exchange still wants
 * it, and only what follows it is the next request.
 */

#include <uv.h>

#include "net/exchange.h"
#include "wire/http1.h"

struct conn;

struct h1_exchange {
	struct exchange x;
	struct conn *conn;
	bool api;    /* the API layer has the word: only it may answer */
	bool framed; /* its head was written */
	bool chunked, until_close;
	bool ended;     /* its last chunk was written */
	bool close;     /* the connection closes after this answer */
	bool continued; /* its client was told to send the body */
	size_t charged; /* to the budget: it was read ahead */
};

struct h1_body {
	bool reading; /* its end has not been seen */
	bool known;   /* its length */
	uint64_t left, seen, dropped;
	uint64_t began_ms;
	struct h1_exchange *of; /* NULL: its exchange is over */
};

struct h1 {
	struct http1 parser;
	struct list exchanges; /* oldest first */
	unsigned n_exchanges;
	struct h1_body body;
	struct buf stash;  /* input beyond what may be read ahead */
	bool large;        /* the last body was: the next one's begin is not worth copying */
	bool last_request; /* the client has said so */
	bool refused;      /* it broke a rule: its input is not looked at any more */
};

/* ---- h1.c: requests ---- */
void h1_init(struct conn *c);
void h1_finish(struct conn *c);
/* Where the next input goes: the body's place, or the receive buffer. */
void h1_room(struct conn *c, char **p, size_t *n);
/* It arrived there. */
void h1_arrived(struct conn *c, const char *p, size_t n);
/* What was read ahead, when there is room again. */
void h1_resume(struct conn *c);
/* What was read ahead is for nobody. */
void h1_drop_stash(struct conn *c);
/* What one that is read ahead counts: its head, what keeps track of it, a short answer. */
size_t h1_ahead_bytes(const struct conn *c);
/* The client has ended its side. True: it still waits for answers. */
bool h1_half_closed(const struct conn *c);
#define H1_NO_MEMORY "The server's memory budget is used up; try again later."
/* Answers on net's own account, once, and closes after that. */
void h1_refuse(struct conn *c, int status, const char *why);
/* Is it between two requests, with nothing begun? */
bool h1_idle(const struct conn *c);
/* All exchanges are over: the client is gone. */
void h1_abandon(struct conn *c);
/* What its input waits for now. */
int h1_waits_for(const struct conn *c);

/* ---- h1_body.c ---- */
/* A head said that there is one. False: it was refused. */
bool h1_body_begin(struct conn *c, struct h1_exchange *e);
/* Is its client still to be told that it may send it? */
bool h1_body_invites(const struct conn *c);
bool h1_body_known(struct conn *c, struct slice *in); /* takes its part off `in` */
bool h1_body_piece(struct conn *c);                   /* of a chunked body */
void h1_body_arrived(struct conn *c, size_t n);       /* bytes that are in their place already */
void h1_body_end(struct conn *c);
/* Room in the sink for what is coming. False: refused. */
bool h1_body_room(struct conn *c, size_t want, char **p, size_t *n);

/* ---- h1_answer.c: answers ---- */
struct h1_exchange *h1_exchange_take(struct conn *c);
/* What may go out now, in order; returns how many buffers. */
unsigned h1_gather(struct conn *c, uv_buf_t *bufs, unsigned max);
/* The first n bytes of that have gone. */
void h1_sent(struct conn *c, size_t n);
/* Small remainders of the oldest answer are copied, so that their memory goes back early. */
void h1_copy_tail(struct conn *c, size_t max);
/* Exchanges whose answers are out are over. */
void h1_reap(struct conn *c);
/* Would what breaks off now look whole, for it ends where the connection does? */
bool h1_would_look_whole(const struct conn *c);
