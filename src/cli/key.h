/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The key of a server on this machine, for clients that were given none: the process of this user
 * that listens at the address is asked for its working directory, flags and environment (/proc),
 * and its key file is read.
 */

/* `address`: http://HOST:PORT or unix:PATH. `kind`: "management", "inference" or "API". The key
 * (free() it), or NULL: the server is not here, is another user's, or has no key file where its
 * command says. */
char *key_of_server(const char *address, const char *kind);
/* The key in a file, or NULL. free() it. */
char *key_of_file(const char *path, const char *kind);
