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

/* 0 or -errno; on failure *m is empty. */
int memfd_open(struct memfd *m, const char *name, size_t size);
void memfd_close(struct memfd *m);
/* A descriptor of the same memory that can only be read. The caller closes it. -errno on failure.
 */
int memfd_read_only(const struct memfd *m);
/* Gives pages back to the system; they read as zeros afterwards. */
void memfd_punch(const struct memfd *m, size_t offset, size_t n);
