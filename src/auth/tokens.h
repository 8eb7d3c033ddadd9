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
#include "loop/work.h"

enum token_kind { TOKEN_MANAGEMENT, TOKEN_INFERENCE, TOKEN_API, TOKEN_KINDS };

/* Why a key is not taken. */
enum token_verdict {
	TOKEN_GOOD,
	TOKEN_MISSING,   /* there is no header */
	TOKEN_MALFORMED, /* it is not "Bearer <word>" */
	TOKEN_EXPIRED,
	TOKEN_OTHER, /* a key of another kind */
	TOKEN_WRONG,
};

struct tokens;

/* The name of a memfd that whoever has tokens keeps open: the absolute path of their file. Only
 * processes of the same user can read it there, and it cannot outlive the server. */
#define TOKENS_PLACE "sconce-key-file"

/* Makes three fresh keys and writes the file (mode 0600, replaced atomically), at once: this is for
 * the start. `expires_ns`: life of the two that expire. 0, or -errno with a sentence in `why`. */
int tokens_create(struct tokens **ret, uv_loop_t *loop, const char *path, uint64_t expires_ns,
		  uint64_t now_ns, struct buf *why);
/* Takes the keys of somebody else's file, the same for several servers: they never expire, are not
 * renewed, and the file is only read. 0, or a negative error with a sentence in `why`. */
int tokens_create_given(struct tokens **ret, uv_loop_t *loop, const char *path, struct buf *why);
bool tokens_given(const struct tokens *t);
/* No renewal is under way. Forgets the keys; their file goes with `remove_file`. */
struct tokens *tokens_destroy(struct tokens *t, bool remove_file);
/* `authorization` is the header's value: "Bearer <key>"; SLICE_NULL: there is none. Takes the same
 * time for every wrong key. */
enum token_verdict tokens_judge(const struct tokens *t, enum token_kind kind,
				struct slice authorization, uint64_t now_ns);
static inline bool tokens_check(const struct tokens *t, enum token_kind kind,
				struct slice authorization, uint64_t now_ns)
{
	return tokens_judge(t, kind, authorization, now_ns) == TOKEN_GOOD;
}
/* When the key of a kind that expires does. 0: keys that were given do not. */
uint64_t tokens_expire_ns(const struct tokens *t, enum token_kind kind);
/* The name in the file: "management", "inference", "API". */
const char *token_kind_name(enum token_kind kind);
/* The file's name without its folder, which is the server's business. */
const char *tokens_file_name(const struct tokens *t);
/* 0, or -errno when the file could not be written: then the old key stays valid. */
typedef void tokens_renewed(void *arg, int r);
/* A new key for `kind` (not TOKEN_API; they were not given). It is written (and synced) by a thread
 * of libuv's pool; when it is in the file, the old one is invalid, and `done` is called. Renewals
 * happen in order.
 */
void tokens_renew(struct tokens *t, enum token_kind kind, uint64_t now_ns, tokens_renewed *done,
		  void *arg);
/* Is one under way, or does one wait? */
bool tokens_renewing(const struct tokens *t);
