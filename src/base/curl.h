/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * libcurl, loaded when it is first needed: the server starts without it and most never fetch
 * anything. One table of the functions that are used, called as `curl->easy_init()`. The names are
 * libcurl's own, without their prefix; so are the types, from its headers.
 */

#include <curl/curl.h>

#include "base/buf.h"

#define CURL_FUNCTIONS(X)                                                                          \
	X(global_init)                                                                             \
	X(easy_init)                                                                               \
	X(easy_setopt)                                                                             \
	X(easy_perform)                                                                            \
	X(easy_getinfo)                                                                            \
	X(easy_strerror)                                                                           \
	X(easy_escape)                                                                             \
	X(easy_cleanup)                                                                            \
	X(slist_append)                                                                            \
	X(slist_free_all)                                                                          \
	X(url)                                                                                     \
	X(url_set)                                                                                 \
	X(url_get)                                                                                 \
	X(url_cleanup)                                                                             \
	X(free)

#define CURL_FUNCTION(name) typeof(curl_##name) *name;
struct curl {
	CURL_FUNCTIONS(CURL_FUNCTION)
};
#undef CURL_FUNCTION

/* The library, loaded and initialised once; never unloaded. NULL, with what to install in `why`,
 * when there is none (asking again tries again). One thread: the first call comes before others
 * are started. */
const struct curl *curl_load(struct buf *why);
