/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * An answer in pieces. Each piece has memory of its own, which is counted until the client has it:
 * a slow reader costs what its worker was allowed to send ahead, and a long stream no more than a
 * short one.
 */

#include "api/call.h"

/* After call_begin(): the piece that `reply` brings, and the end if it is final. A stream that
 * fails, or for which there is no memory, ends visibly: without its last chunk. Takes the body. */
void stream_send(struct call *c, const struct reply *reply);
