/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Values as JSON text, laid out as Python's json.dumps() does. Any thread. */

#include "base/buf.h"
#include "pipeline/value.h"

struct text_form {
	int indent;   /* spaces a level; -1: all in one line */
	bool doubles; /* floats with the digits of doubles, as Python has them */
	bool records; /* findings as {"class", "label", "score", "box"}, not as TorchServe has them
		       */
};

/* A tensor, or findings. */
void text_put(struct buf *out, const struct value *v, const struct text_form *form);
void text_put_string(struct buf *out, struct slice s); /* all of it ASCII */
