/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* allowed_urls: which URLs archives may come from. */

#include <stdbool.h>

/* `patterns`: a comma list of extended regular expressions; one of them must match the whole URL,
 * upper and lower case alike. Empty: none is allowed. */
bool url_allowed(const char *patterns, const char *url);
/* The file that a download is kept in: the last segment of an http(s) URL's path, as it stands
 * there. NULL when that is no name for a visible file. Free it. */
char *url_file_name(const char *url);
