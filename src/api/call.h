/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One HTTP request on its way through the API. Calls are kept on a free list with their regions, so
 * a typical one allocates nothing. A call is freed when both its exchange and its request are done.
 */

#include "api/api.h"
#include "api/body.h"
#include "api/cors.h"
#include "api/deadline.h"
#include "api/ready.h"
#include "api/scrape.h"
#include "base/map.h"
#include "core/trace.h"
#include "fleet/version.h"
#include "loop/work.h"

#define CALL_SEGMENTS_MAX 32
#define CALL_MESSAGE_MAX ((size_t)65536) /* of an error; what is longer is cut */

struct route;
struct args;
struct form;

struct api {
	struct fleet *fleet;
	const struct settings *settings;
	struct list free_calls;
	unsigned n_free;
	struct cors cors;
	struct deadlines deadlines;
	struct scrape scrape;
	const struct net *net; /* NULL: not yet */
	struct budget *budget;
	struct budget spare;   /* for our own answers where requests have used up the other */
	struct tokens *tokens; /* NULL: no authorization */
	bool stopping;         /* nobody needs to wait for the start any more */
	bool starting;         /* the models of the start are not known yet … */
	struct list early;     /* … and calls wait until they are */
	uv_timer_t *begin;     /* runs them then, some at a time */
	struct ready ready;
	struct lane forms, long_forms; /* that threads read */
	struct lane console;           /* files that threads read for it */
	uint64_t began_ns;
	struct map idents; /* the clients' own that are in use now, to struct call */
};

struct call {
	struct list link; /* in the free list, or waiting for the models of the start */
	struct api *api;
	struct api_door *door;
	struct exchange *x; /* NULL: the client has left */
	struct region region;
	const struct route *route;
	struct slice segments[CALL_SEGMENTS_MAX]; /* of the path, decoded */
	unsigned n_segments;
	struct slice model, version_name; /* that the path names; SLICE_NULL: it does not */
	unsigned rest;                    /* the first segment behind the route's words */
	struct body body;
	struct form *form;  /* that was read before the call went on; NULL: none was */
	struct block extra; /* query fields, for handlers */
	struct request request;
	bool running;            /* the request is with a version */
	struct version *version; /* while it runs */
	struct list timed;       /* while its deadline counts */
	bool abandoned;          /* it was answered without waiting for what the worker says */
	unsigned retry_after_s;  /* a header of the answer; 0: none */
	bool streaming;
	void *waiting; /* what a management call waits for; its module knows what it is */
	/* Its client has left: ends what nobody waits for any more, and frees nothing of the call;
	 * NULL: that changes nothing. */
	void (*left)(struct call *c);
	struct trace trace;      /* see trace.h; only where the request points to it */
	char uuid[UUID_LEN + 1]; /* see ident.h; unused bytes are zero */
	bool own_ident;          /* it is the client's */
};

struct call *call_create(struct api_door *d, struct exchange *x);
/* The exchange or the request is done; frees the call when nothing is left. */
void call_maybe_free(struct call *c);

/* While the models of the start are not known, what is not there may still come: true when this
 * call runs once more then, so nothing is to be answered now. */
bool call_too_early(struct call *c);

/* ---- answers (answer.c). Each is the whole answer; harmless when the client has left. ---- */

/* Of an answer that somebody else gives: the header lines that all have. */
void call_put_headers(struct call *c, const char *type, struct buf *out);
/* A document; `type` NULL: application/json. Copied, to memory of the budget where it is not short;
 * 503 when that is used up. */
void call_answer(struct call *c, int status, const char *type, struct slice text);
/* The same with more headers, a block as in struct reply. */
void call_answer_with(struct call *c, int status, const char *type, struct slice headers,
		      struct slice text);
/* {"status": …} */
void call_status(struct call *c, int status, const char *text);
/* {"code", "type", "message"}. */
void call_error(struct call *c, int status, const char *type, const char *fmt, ...) _printf_(4, 5);
void call_outcome(struct call *c, const struct outcome *o);
/* 404 and 405 with TorchServe's fixed texts. */
void call_not_found(struct call *c);
void call_not_allowed(struct call *c);
/* 503: the budget is used up. */
void call_no_memory(struct call *c);
void call_model_not_found(struct call *c, struct slice model);
void call_version_not_found(struct call *c, struct slice model, struct slice version);
/* A worker's reply as it is, with its body's bytes: the whole answer. */
void call_send(struct call *c, const struct reply *reply);
/* The head of a stream, with the first reply's status and headers, and one line more (SLICE_NULL:
 * none; a handler's own of that name wins). Pieces follow: stream.h. */
void call_begin(struct call *c, const struct reply *reply, struct slice name, struct slice value);
/* A worker's reply, whole or a piece of a stream. */
void call_reply(struct request *r, const struct reply *reply);
/* How much of its answer has gone: see struct request. */
uint64_t call_delivered(const struct request *r);

/* Finds a model's version, or answers 404 and returns NULL. `version` SLICE_NULL: the default. */
struct version *call_find_version(struct call *c, struct slice model, struct slice version);
