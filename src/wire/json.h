/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Small helpers over yyjson, so that every document the server writes looks like TorchServe's
 * (Gson: two-space indent, no escaping of / < > & = ', a newline at the end) and every one it reads
 * is checked. yyjson itself is used directly where a document is walked.
 */

#include <yyjson.h>

#include "base/buf.h"
#include "base/region.h"

/* Appends `s` as a JSON string with its quotes; bytes that are not UTF-8 become U+FFFD. */
void json_put_string(struct buf *out, struct slice s);
/* Appends `"key":"value"`, with a comma before it unless it is its object's first. NULL is "". */
void json_put_member(struct buf *out, const char *key, const char *value);
/* `{"status": "<text>"}`, pretty, newline. */
void json_status(struct buf *out, struct slice text);
/* `{"code":…,"type":…,"message":…}`, pretty, newline. */
void json_error(struct buf *out, int code, const char *type, struct slice message);
/* Pretty-prints a mutable document with the trailing newline; UTF-8 whatever is in it. What is too
 * large for the buffer that way is written without spaces. Less than 0: it is too large for that,
 * too. */
int json_write_pretty(struct buf *out, const yyjson_mut_doc *doc);
/* Members of an object, leniently typed as TorchServe's JSON reader: numbers and booleans may be
 * strings, and integers any number that is whole (2.0). SLICE_NULL / fallback when absent; false
 * (and why) when it has another type. */
struct slice json_text(struct region *r, yyjson_val *object, const char *key);
struct slice json_value_text(struct region *r, yyjson_val *v); /* of one that was found */
bool json_i64(yyjson_val *object, const char *key, int64_t *ret);
bool json_bool(yyjson_val *object, const char *key, bool *ret);
