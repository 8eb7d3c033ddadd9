/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * An archive while it is written, entry by entry, to a file that stays the caller's. Each kind is
 * one table of functions; what they write does not depend on time, place or user.
 */

#include <stdint.h>

#include "base/slice.h"
#include "base/util.h"

/* Before 1980, where the times of a zip begin: it holds its earliest, in whichever time zone. */
#define PACK_TIME 0

enum { PACK_AGAIN = 1 };

struct pack {
	const struct pack_ops *ops;
};

struct pack_ops {
	/* The next file; its pieces follow, `size` bytes in all. 0 or -errno, as all of these. */
	int (*begin)(struct pack *p, const char *name, uint64_t size);
	int (*piece)(struct pack *p, struct slice piece);
	/* After the last piece of a file. PACK_AGAIN: it would have become larger; begin it once
	 * more with the same pieces, which are stored as they are then. */
	int (*end)(struct pack *p);
	/* After the last file. */
	int (*close)(struct pack *p);
	struct pack *(*destroy)(struct pack *p);
};

/* At the fastest level: weights hardly shrink anyway. The file is empty, and can be sought in. */
struct pack *pack_zip(int fd);
struct pack *pack_stored(int fd); /* a zip whose files are not compressed */
struct pack *pack_tgz(int fd);

static inline void pack_destroyp(struct pack **p)
{
	if (*p)
		*p = (*p)->ops->destroy(*p);
}
