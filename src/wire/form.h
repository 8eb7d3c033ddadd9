/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * application/x-www-form-urlencoded bodies, decoded where they lie: what is decoded is never
 * longer. Fuzzed.
 */

#include "base/slice.h"

struct form_field {
	struct slice name, value; /* inside the body */
};

enum { FORM_TOO_MANY = 1 };
/* As in TorchServe, a name without '=' has an empty value, but at the end of a body it is no field:
 * a text that is no form has none. 0 with *ret_n fields; FORM_TOO_MANY; -EBADMSG on a bad escape
 * (the body is then half decoded). */
int form_parse_in_place(char *p, size_t n, struct form_field *fields, unsigned max,
			unsigned *ret_n);
