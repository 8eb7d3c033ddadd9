/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What net refuses before a call is run, in the words of who runs the server: which setting was
 * the limit, and what it allows.
 */

#include "base/buf.h"

struct api;
struct exchange;

/* Writes a sentence for a status that net gave for `why`; `x` NULL: there was no exchange yet. */
void refusal_explain(const struct api *a, const struct exchange *x, int status, const char *why,
		     struct buf *out);
