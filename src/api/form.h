/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A body that is a form, and where its fields lie. A small one is read at once; looking through a
 * large one takes milliseconds a megabyte, which a thread does before the call goes on.
 */

#include <stdatomic.h>

#include "api/call.h"
#include "loop/work.h"
#include "wire/form.h"
#include "wire/multipart.h"

#define FORM_FIELDS_MAX 511

struct form {
	struct slice boundary; /* of multipart bodies; SLICE_NULL: url-encoded */
	int result;            /* of multipart_parse() or form_parse_in_place() */
	unsigned n;
	union {
		struct multipart_part parts[FORM_FIELDS_MAX];
		struct form_field fields[FORM_FIELDS_MAX];
	};
	struct call *call;
	struct work work;
	atomic_bool left; /* its client has: nobody wants it any more */
	void (*ready)(struct call *c);
};

/* True: a thread reads the call's form, and ready() goes on when it has, if the client is still
 * there. False: there is none, or it is small. */
bool form_read_ahead(struct call *c, void (*ready)(struct call *c));
/* The form of a call with this Content-Type, read. NULL: its body is none. */
const struct form *form_read(struct call *c, struct slice header);
