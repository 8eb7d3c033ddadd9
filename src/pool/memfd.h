/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Sealed anonymous shared memory: its size can never change, so nobody's mapping can be pulled
 * away. */

#include <stddef.h>

struct memfd {
	int fd;  /* read-write */
	char *p; /* our mapping, read-write */
	size_t size;
};

enum memfd_kind {
	MEMFD_SHARED, /* whoever has the descriptor may write */
	/* Only our mapping can be written, now and ever: a descriptor of it that can only be read
	 * could be opened anew for writing through /proc. Its pages cannot be given back before it
	 * is closed. */
	MEMFD_OURS,
};

/* 0 or -errno; on failure *m is empty. -EOPNOTSUPP: this kernel cannot make such memory. */
int memfd_open(struct memfd *m, const char *name, size_t size, enum memfd_kind kind);
void memfd_close(struct memfd *m);
/* A descriptor of the same memory that can only be read. The caller closes it. -errno on failure.
 */
int memfd_read_only(const struct memfd *m);
/* Gives pages of MEMFD_SHARED back to the system; they read as zeros afterwards. */
void memfd_punch(const struct memfd *m, size_t offset, size_t n);
