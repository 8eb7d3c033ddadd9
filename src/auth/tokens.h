/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * TorchServe's token authorization: three keys in `key_file.json` (owner-only). The inference and
 * the management key expire and are renewed through /token with the API key, which never expires.
 * Time is an argument (wall clock, ns). Loop thread only.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

enum token_kind { TOKEN_MANAGEMENT, TOKEN_INFERENCE, TOKEN_API, TOKEN_KINDS };

struct tokens;

/* Makes three fresh keys and writes the file (mode 0600, replaced atomically). `expires_ns`: life
 * of the two that expire. 0, or -errno with a sentence in `why`. */
int tokens_create(struct tokens **ret, const char *path, uint64_t expires_ns, uint64_t now_ns,
		  struct buf *why);
/* Forgets the keys; the file stays unless `remove_file`. */
struct tokens *tokens_destroy(struct tokens *t, bool remove_file);
/* `authorization` is the header's value: "Bearer <key>". Takes the same time for every wrong key.
 */
bool tokens_check(const struct tokens *t, enum token_kind kind, struct slice authorization,
		  uint64_t now_ns);
/* A new key for `kind` (not TOKEN_API); the old one is invalid at once. 0, or -errno when the file
 * cannot be written (then the old key stays valid). */
int tokens_renew(struct tokens *t, enum token_kind kind, uint64_t now_ns);
