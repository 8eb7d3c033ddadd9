/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The header Accept: how much a client wants one of the forms that an answer may have. */

#include "base/slice.h"

#define ACCEPT_UNNAMED (-1)

/* The weight, 0 … 1000, that `accept` gives the media type `type` ("text/plain") by its name, the
 * highest of several; a range that asks for another `version` is not meant. ACCEPT_UNNAMED: no
 * range names it. What is malformed says nothing. */
int accept_weight(struct slice accept, struct slice type, struct slice version);
