/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What is a character in UTF-8 (RFC 3629): the shortest form, no surrogates, nothing beyond
 * U+10FFFF. The one place that knows; text from outside is looked at with it wherever it is
 * written.
 */

#include "base/slice.h"

#define UTF8_REPLACEMENT SLICE("\xef\xbf\xbd") /* U+FFFD */

/* Bytes of the character at the front of `s`, which is not empty; 0: there is none. *ret (may be
 * NULL) is its number. */
size_t utf8_char(struct slice s, uint32_t *ret);
/* Is all of it UTF-8? */
bool utf8_valid(struct slice s);
/* The longest beginning of at most n bytes that ends with a whole character. */
struct slice utf8_cut(struct slice s, size_t n);
