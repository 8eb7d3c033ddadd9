/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * From a body to the fields a handler sees: form parts without copying, url-encoded fields decoded
 * in place, anything else as one field `body`; and the header block that goes with them.
 */

#include "api/call.h"

#define PARTS_MAX 512 /* FORM_FIELDS_MAX and a body */

/* Fills in the request's parts. `query`: query parameters become fields too. 0, or -1 after having
 * answered. */
int parts_read(struct call *c, bool query);

/* Answers that the request's headers and the names of its fields fit no frame to a worker
 * (VERSION_TOO_LARGE). */
void parts_refuse_large(struct call *c);

/* Headers that some routes add for the handler. */
enum parts_extra {
	PARTS_URL_PATH = 1 << 0, /* what follows the version in the path */
	PARTS_EXPLAIN = 1 << 1,  /* "True" or "False" */
};

/* Fills in the request's header block, with `extra` by the request's op. */
void parts_headers(struct call *c, unsigned extra);
/* One more, behind the others: the last of a name is the one that counts. */
void parts_add_header(struct call *c, struct slice name, struct slice value);
/* A field's bytes as text (inside the pool; not NUL-terminated). */
struct slice parts_text(const struct call *c, const struct part *p);
