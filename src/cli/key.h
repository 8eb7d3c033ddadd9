/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The key of a server on this machine, for clients that were given none: the process of this user
 * that listens at the address has the place of its key file open (TOKENS_PLACE, seen in /proc), and
 * that file is read.
 */

/* `address`: http://HOST:PORT or unix:PATH. `kind`: "management", "inference" or "API". The key
 * (free() it), or NULL: the server is not here, is another user's, or its key file has gone.
 */
char *key_of_server(const char *address, const char *kind);
/* The key in a file, or NULL. free() it. */
char *key_of_file(const char *path, const char *kind);
