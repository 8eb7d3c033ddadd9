/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A client of a server's management API, one call at a time. What goes wrong is explained on
 * stderr, with what to do about it, and becomes an exit code.
 */

#include <stdbool.h>

#include "base/buf.h"

enum client_exit {
	CLIENT_OK = 0,
	CLIENT_REFUSED = 1, /* the server says no */
	CLIENT_USAGE = 2,
	CLIENT_SILENT = 3, /* no server answers */
};

struct client_options {
	const char *address; /* NULL: of the configuration in this folder, or the default */
	const char *token;   /* NULL: SCONCE_TOKEN, or of the server's key file (key.h) */
	const char *key;     /* which key of the file: "management", "API" */
	long timeout_s;      /* 0: none */
	const char *program; /* who complains; NULL: "sconce models" */
	bool inference;      /* calls models: the other address */
};

struct client {
	struct client_options options;
	const struct curl *curl;
	void *easy; /* CURL */
	char *address, *token;
	struct buf body; /* of the last answer */
	struct buf head; /* of the last answer: its header lines */
	long status;     /* of the last answer */
	/* What the next calls send; NULL: nothing. The lines end with NULL. */
	const struct slice *upload;
	const char *const *lines;
	/* Takes pieces of an answer that is streamed as they come, instead of `body`; or NULL. */
	void (*piece)(struct slice data);
	/* Advises when the answer is 404, with its type; may call the server. NULL: nothing is. */
	void (*missing)(struct client *c, const char *type, const char *message);
	const void *asked; /* for it */
	/* Called about once a second while waiting; NULL: nobody is. */
	void (*tick)(void *userdata);
	void *userdata;
};

/* CLIENT_OK, or what is wrong has been said (no libcurl, no such address). Finish it in any case.
 */
int client_init(struct client *c, const struct client_options *options);
void client_finish(struct client *c);
/* Calls the server. CLIENT_OK: it answered 2xx; else it has been explained. */
int client_call(struct client *c, const char *method, const char *target);
/* The same, silently: 0 when it answered at all. */
int client_ask(struct client *c, const char *method, const char *target);
/* The value of a header of the last answer, without blanks around it; SLICE_NULL: it has none. */
struct slice client_header(const struct client *c, const char *name);
/* Cuts "echo:2.0" into model and version, in place, where *version is NULL. An empty version is the
 * default one (NULL), so that "a:b:" is a model whose name has a colon. */
void client_split_model(char *model, const char **version);
/* Appends "<before>/<model>[/<version>]": `model` may be "name:version". */
void client_put_model(struct client *c, struct buf *target, const char *before, const char *model,
		      const char *version);
/* Appends "/<name>" or "<separator><key>=<value>" to a target; nothing for a value of NULL. */
void client_put_name(struct client *c, struct buf *target, const char *name);
void client_put_query(struct client *c, struct buf *target, const char *key, const char *value);
