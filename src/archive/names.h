/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * How names of files are written in archives. libarchive hands them on in the character set of the
 * locale, which a server rarely has: without one that knows UTF-8 it loses all names that are not
 * ASCII.
 */

#include <locale.h>

#include "base/buf.h"

/* This thread takes names for UTF-8 from here on, whatever the environment says. Give the result to
 * names_restore(). */
locale_t names_use_utf8(void);
void names_restore(locale_t before);

/* The name of a zip's entry that does not say that it is UTF-8: it is all the same, or it was
 * written in code page 437. Appends it to `out` in UTF-8. 0 or -ENOBUFS. */
int names_from_zip(struct slice raw, struct buf *out);
