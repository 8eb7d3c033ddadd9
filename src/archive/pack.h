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

struct pack {
	const struct pack_ops *ops;
};

struct pack_ops {
	/* The next file; its pieces follow, `size` bytes in all. 0 or -errno, as all of these. */
	int (*begin)(struct pack *p, const char *name, uint64_t size);
	int (*piece)(struct pack *p, struct slice piece);
	/* After the last piece of the last file. */
	int (*close)(struct pack *p);
	struct pack *(*destroy)(struct pack *p);
};

struct pack *pack_zip(int fd);
struct pack *pack_tgz(int fd);
struct pack *pack_stored(int fd); /* a zip whose files are not compressed */

static inline void pack_destroyp(struct pack **p)
{
	if (*p)
		*p = (*p)->ops->destroy(*p);
}
