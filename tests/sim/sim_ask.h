/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One request of a client: its bytes, and which answers are right. A request for a model says in
 * its body what the answer shall be, under a token of its own:
 *
 *     "<token> <status> <size> <pieces>\n" and then bytes that follow from the token
 *
 * A worker checks those bytes, and answers with the token and `size` bytes that follow from it, in
 * so many pieces. So nobody can mistake one answer, or a part of one, for another.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct sim;
struct sim_client;
struct sim_model;

enum ask_kind {
	ASK_PREDICT,
	ASK_EMPTY,  /* a model, without a body */
	ASK_SIMPLE, /* what the front answers itself; bodies may come along */
	ASK_MANAGE,
	ASK_BAD, /* what HTTP does not allow */
};

/* What the body of a request for a model says. */
struct ask_plan {
	uint64_t token;
	unsigned status, pieces;
	size_t size;
};

#define ASK_STATUSES 12

struct sim_ask {
	enum ask_kind kind;
	struct buf bytes;
	size_t head; /* where its body begins */
	struct ask_plan plan;
	int allowed[ASK_STATUSES]; /* statuses besides the planned one; 0 ends them */
	bool no_body;              /* of the answer: HEAD */
	bool expects;              /* 100-continue */
	bool last;                 /* says that it is the connection's last */
	bool http10;
	bool ends;        /* its answer may end the connection */
	uint64_t sent_ns; /* all of it was, then */
	bool answered;
};

/* Draws one. */
void ask_draw(struct sim *s, struct sim_ask *a);
/* Draws one that makes models come and go. */
void ask_manage(struct sim *s, struct sim_ask *a);
/* One that gives a model so many workers. */
void ask_scale(struct sim *s, struct sim_ask *a, const struct sim_model *m, unsigned workers);
/* A plain GET. */
void ask_get(struct sim_ask *a, const char *path, int status);
void ask_finish(struct sim_ask *a);
bool ask_allows(const struct sim *s, const struct sim_ask *a, int status);

/* ---- for both ends: the plan as text ---- */

/* Puts the first line of a body. */
void plan_put(struct buf *b, const struct ask_plan *plan);
/* Reads it; *rest is what comes after. */
bool plan_read(struct slice *rest, struct ask_plan *ret);
/* The bytes that follow from a token: `n` of them from `at` on. */
void token_put(struct buf *b, uint64_t token, uint64_t at, size_t n);
bool token_check(uint64_t token, uint64_t at, struct slice s);
