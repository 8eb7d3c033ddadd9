/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A dialect: how one family of clients writes a request to a model and reads its answer. A route
 * names its dialect and what of its path is the model and the version (route.h); everything between
 * the two is the same for all. Every dialect ends in `struct request`, and every answer starts from
 * a worker's `struct reply`.
 */

#include "base/buf.h"
#include "core/request.h"

struct call;

struct dialect {
	const char *name;
	/* The body is there: fills in the request's parts and headers. 0, or -1 after having
	 * answered. */
	int (*read)(struct call *c);
	/* A worker's reply that is the whole answer. Takes the reply's body. */
	void (*reply)(struct call *c, const struct reply *reply);
	/* One of several: the first begins the answer, the final one ends it, an error breaks it
	 * off. Takes the reply's body. */
	void (*piece)(struct call *c, const struct reply *reply);
	/* The document of an error, `error_media` its content type. */
	void (*error)(struct buf *out, int status, const char *type, struct slice message);
	const char *error_media;
};

/* dialect_torchserve.c: what TorchServe speaks, on all its routes. They differ in what a handler is
 * told beside the body. */
extern const struct dialect dialect_predictions; /* /predictions, /explanations */
extern const struct dialect dialect_kserve;      /* /v1/models, /v2/models */
extern const struct dialect dialect_fields; /* /invocations, /models/…/invoke, /…/predict */

/* That of a call; TorchServe's where its route is not known or has none. */
const struct dialect *dialect_of(const struct call *c);
/* The name that errors have which the server itself finds. */
const char *dialect_error_type(int status);
