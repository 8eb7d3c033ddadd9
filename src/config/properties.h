/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Java's properties syntax, as config.properties and snapshots have it: `key=value`, `key: value`
 * or `key value`, comments from # or !, lines that go on after a backslash, escapes. The text is
 * UTF-8 (\uXXXX works, too). Pure: bytes in, pairs out; work and memory are linear in the text.
 */

#include "base/buf.h"

#define PROPERTIES_TEXT_MAX ((size_t)1 << 20)

struct properties {
	struct slice rest;
	unsigned line; /* of the byte at `rest` */
	struct buf logical, key, value;
};

struct property {
	unsigned line;           /* where it starts */
	struct slice key, value; /* unescaped; valid until the next call */
};

/* `text` must outlive it. */
void properties_init(struct properties *p, struct slice text);
void properties_finish(struct properties *p);
/* 1 with a pair; 0 at the end; -EINVAL with the reason in `why` (no line number, no newline) and
 * only `line` in *ret: the next call goes on behind the bad line. */
int properties_next(struct properties *p, struct property *ret, struct buf *why);

/* Appends `value` with every $$NAME$$ replaced by the variable of `environment`. -EINVAL and
 * "Invalid Environment Variable NAME" when there is none. What was put in is not looked at again.
 */
int properties_expand(struct slice value, char *const *environment, struct buf *out,
		      struct buf *why);
/* Appends a line that reads back as the same pair, here and in Java (there only UTF-8 does). */
void properties_put(struct buf *out, struct slice key, struct slice value);

/* The value of a variable, SLICE_NULL when it is not set. */
struct slice environment_get(char *const *environment, struct slice name);
