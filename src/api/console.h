/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The web console at the management address: its page and what that loads (console/ of the
 * sources, packed into the executable), and the endpoints that only the console needs. All else
 * it does with the management API, with the rights of the key that its user gives it.
 *
 * The page and its files are open to everybody, for they hold nothing. The endpoints ask for the
 * keys of their kinds, and answer no page but the console's own. Loop thread only.
 */

#include "api/call.h"

/* A file of the console, as tools/embed.py packs it: both as it is and compressed. */
struct console_asset {
	const char *name, *type, *tag; /* tag: of the content, for ETag */
	const unsigned char *plain, *packed;
	size_t plain_n, packed_n;
};

extern const struct console_asset console_assets[]; /* the page is the first */
extern const unsigned console_assets_count;

/* The headers that all answers of the console have, as a block of a reply. */
#define CONSOLE_HEADERS_MAX 1024
size_t console_put_headers(char *block);
/* A JSON document of the console. */
void console_answer(struct call *c, struct slice json);
