/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Pages for browsers: one frame, one style, everything in it escaped. No script, nothing from
 * elsewhere: the answer's Content-Security-Policy allows neither. */

#include "api/call.h"

/* Would this client rather have a page than a document? Only browsers name text/html. */
bool html_wanted(const struct call *c);
/* The head of a page, up to its first own element. */
void html_begin(struct buf *b, const char *title);
void html_end(struct buf *b);
void html_put(struct buf *b, struct slice text); /* escaped */
/* `html_put` of a format's result. */
void html_printf(struct buf *b, const char *fmt, ...) _printf_(2, 3);
/* Answers 200 with it. */
void html_answer(struct call *c, const struct buf *b);
