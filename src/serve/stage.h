/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A model folder made of files that lie elsewhere: links to them, and a manifest. What a packer
 * would copy into an archive, without copying. May be made again over itself, while it is served:
 * what has come since is added. Blocks: for a thread of the pool.
 */

#include "base/buf.h"

struct stage {
	const char *into; /* NULL: there is nothing to make */
	/* Its entries are linked, except Python sources, which are imported from where they lie, so
	 * that tracebacks and debuggers show the files that are being edited. NULL: none. */
	const char *folder;
	const char *const *files; /* to be linked by their last word; ends with NULL */
	const char *manifest;     /* MAR-INF/MANIFEST.json */
};

/* 0, or -errno with a sentence in `why`. */
int stage_make(const struct stage *s, struct buf *why);
