/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The table of routes: one row per path shape and role, the first that matches wins. */

#include "api/call.h"
#include "api/dialect.h"

enum route_body {
	ROUTE_NO_BODY,    /* a body is read and dropped */
	ROUTE_SMALL_BODY, /* JSON arguments: up to 64 KiB */
	ROUTE_BIG_BODY,   /* up to max_request_size */
};

struct route {
	unsigned roles;
	const char *method; /* NULL: any */
	/* Segments: a word matches itself, "{model}" and "{version}" any one segment, which is kept
	 * in the call, "{model}:word" one that ends so, a final "**" any rest (also none). */
	const char *path;
	enum route_body body;
	/* Optional, when the head is there: may answer early (returns false then). */
	bool (*check)(struct call *c);
	/* The body is there. */
	void (*run)(struct call *c);
	/* Of routes that run a model. */
	const struct dialect *dialect;
	enum request_op op;
	bool open; /* whatever key its caller has: nothing there needs one, or it asks itself */
	/* Also while the models of the start are not known yet; all others wait until they are. */
	bool at_once;
};

/* The route of a call whose segments are filled in; fills in what the path names. NULL: nothing has
 * this path. A known path with another method gives the row that answers 405. */
const struct route *route_find(struct call *c);
