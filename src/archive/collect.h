/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which files go into an archive, and under which names. */

#include "archive/writer.h"

struct collected {
	char *path; /* on disk */
	char *name; /* in the archive */
	size_t order;
};

struct collection {
	struct collected *all; /* sorted by name, names unique */
	size_t n, room;
};

/* Name, version, runtime and handler are usable. 0 or -EINVAL, said in `notes`. */
int collect_check(const struct archive_spec *s, struct buf *notes);
int collect_files(const struct archive_spec *s, struct collection *ret, struct buf *notes);
void collection_finish(struct collection *c);
