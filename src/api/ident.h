/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The id of a request: x-request-id of the answer, and what logs and handlers call it. A client's
 * own is kept where it is a plain word (1 to 36 of letters, digits and -_.:+/=), sent once, and no
 * other request has it right now: replies of a batch are told apart by their ids, so two that are
 * served at once never share one. Otherwise it is a fresh UUID.
 */

#include "wire/http.h"

struct call;

void ident_take(struct call *c, const struct http_head *head);
void ident_return(struct call *c);
/* The client's own, or SLICE_NULL when it sent none that can be kept. */
struct slice ident_of_client(const struct http_head *head);
