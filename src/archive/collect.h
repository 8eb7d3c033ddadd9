/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which files go into an archive, and under which names. */

#include "archive/writer.h"

struct collected {
	char *path; /* on disk */
	char *name; /* in the archive */
};

struct collection {
	struct collected *all; /* sorted by name, names unique */
	size_t n;
};

/* Name, version, runtime and handler are usable. 0 or -EINVAL with `why`. */
int collect_check(const struct archive_spec *s, struct buf *why);
int collect_files(const struct archive_spec *s, struct collection *ret, struct buf *why);
void collection_finish(struct collection *c);
