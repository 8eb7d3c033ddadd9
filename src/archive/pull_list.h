/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What `sconce pull` is to fetch: lines "NAME SHA256 URL"; empty ones and those with # are left. */

#include "base/buf.h"
#include "base/sha256.h"

struct pull_item {
	char *name, *url;
	char sum[SHA256_HEX_LEN + 1]; /* lower case */
	const char *list;             /* where it stands */
	unsigned line;
	char *fresh; /* of the command: the file that has been fetched; NULL: none */
};

struct pull_list {
	struct pull_item *items;
	size_t n;
};

/* Appends what the file says; `path` has to stay. 0, or -EINVAL with a sentence in `why`: then
 * nothing of the list should be used. */
int pull_list_read(struct pull_list *l, const char *path, struct buf *why);
int pull_list_parse(struct pull_list *l, struct slice text, const char *path, struct buf *why);
bool pull_list_has(const struct pull_list *l, struct slice name);
void pull_list_finish(struct pull_list *l);
