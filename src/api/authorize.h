/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

struct call;

/* Does the caller have the key that this call's route asks for? Answers 400 and returns false if
 * not. Always true with token authorization off, and on the metrics listener. */
bool authorize_call(struct call *c);
/* The same of an open route that finds that it wants the management key after all. */
bool authorize_management(struct call *c);
/* GET /token?type=…: a new key, for whoever has the API key. */
void authorize_renew(struct call *c);
