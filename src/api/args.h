/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Arguments of a management call: the query string, or the members of a JSON body where that is
 * what was sent. As in TorchServe the first value of a repeated name wins in a query and the last
 * one in JSON, an integer that is none counts as not given, and a boolean is true only for "true".
 */

#include <yyjson.h>

#include "api/call.h"

struct args {
	struct region *region; /* the call's */
	struct map values;     /* of the query: name → struct slice * in the region */
	yyjson_doc *json;      /* NULL: it is the query that counts */
};

/* 0, or -EINVAL after having answered 400. `json`: look into the body when it is application/json.
 */
int args_read(struct args *a, struct call *c, bool json);
void args_finish(struct args *a);
/* SLICE_NULL: absent. In the region of the call. */
struct slice args_text(const struct args *a, const char *name);
int64_t args_integer(const struct args *a, const char *name, int64_t fallback);
bool args_bool(const struct args *a, const char *name, bool fallback);
