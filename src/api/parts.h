/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * From a body to the fields a handler sees: form parts without copying, url-encoded fields decoded
 * in place, anything else as one field `body`; and the header block that goes with them.
 */

#include "api/call.h"

#define PARTS_MAX 512

/* Fills in the request's parts. `query`: query parameters become fields too. 0, or -1 after having
 * answered. */
int parts_read(struct call *c, bool query);
/* Fills in the request's header block; `routed` adds url_path and explain as /predictions does. */
void parts_headers(struct call *c, bool routed, bool explain);
/* A field's bytes as text (inside the pool; not NUL-terminated). */
struct slice parts_text(const struct call *c, const struct part *p);
