/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which sequence a request belongs to, from its headers. */

#include "api/call.h"

/* For a version with sequence batching: fills in the request's sequence. One without an id starts
 * a sequence of its own, whose id the handler sees as if the client had sent it. After
 * parts_headers(). */
void sequence_read(struct call *c, const struct version *v);
