/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Answers for pages of other origins. As in TorchServe the three cors_allowed_* settings are
 * headers of every answer. Where browsers could not use that it goes further: a preflight is
 * answered without a token (browsers never send one with it) and whatever the route, and where
 * several origins are allowed an answer names the one that asked, as it may name only one.
 */

#include "config/settings.h"
#include "wire/http.h"

struct cors {
	char *origin;  /* one, or "*"; NULL: see origins */
	char *origins; /* a comma list of several; NULL: see origin */
	char *methods, *headers;
};

void cors_init(struct cors *c, const struct settings *s);
void cors_finish(struct cors *c);
/* Is this a browser's question whether it may send the real request? */
bool cors_is_preflight(const struct cors *c, const struct http_head *h);

/* Calls `put` for each header of an answer to `h`. */
void cors_each(const struct cors *c, const struct http_head *h, void *arg,
	       void (*put)(void *arg, struct slice name, struct slice value));
