/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * multipart/form-data (RFC 7578) over a body that is complete in memory: finds the parts without
 * copying their contents. Bounded by the caller's array; takes linear time, and at most as much of
 * the region as the parts' heads are long. Fuzzed.
 */

#include "base/region.h"
#include "base/slice.h"

struct multipart_part {
	struct slice name;    /* decoded; in the body, or in the region where it has backslashes */
	struct slice type;    /* in the body: media type without parameters; empty when none */
	bool file;            /* has a filename parameter */
	struct slice content; /* inside the body */
};

enum { MULTIPART_TOO_MANY = 1 };
/* `boundary` without the dashes. 0 with *ret_n parts; MULTIPART_TOO_MANY; -EBADMSG when malformed
 * (no closing boundary, bad headers, part without a name). */
int multipart_parse(struct region *r, struct slice body, struct slice boundary,
		    struct multipart_part *parts, unsigned max, unsigned *ret_n);
