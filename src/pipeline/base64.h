/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Base64 as Python's b64decode() reads it: what is no character of it does not count. Any thread.
 */

#include <stdbool.h>

#include "base/slice.h"

/* `to` has base64_room() bytes. False: it is none. */
bool base64_decode(struct slice text, char *to, size_t *ret_n);
static inline size_t base64_room(struct slice text)
{
	return text.n / 4 * 3 + 3;
}
