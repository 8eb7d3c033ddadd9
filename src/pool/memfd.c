/* SPDX-License-Identifier: Apache-2.0 */
#include "pool/memfd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/err.h"
#include "base/util.h"

/* Linux 5.1; older C libraries do not name it. */
#define MEMFD_SEAL_FUTURE_WRITE 0x0010
static_assert(F_SEAL_WRITE << 1 == MEMFD_SEAL_FUTURE_WRITE, "the seal after F_SEAL_WRITE");

#define MEMFD_UNMAP_BYTES ((size_t)4 << 20) /* by one call: a millisecond at most */

/* Seals what must be sealed while there is no other mapping than ours. */
static int memfd_seal(int fd, enum memfd_kind kind)
{
	int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

	if (kind == MEMFD_OURS)
		seals |= MEMFD_SEAL_FUTURE_WRITE;
	if (fcntl(fd, F_ADD_SEALS, seals) == 0)
		return 0;
	return err_origin(errno == EINVAL && kind == MEMFD_OURS ? -EOPNOTSUPP : -errno);
}

int memfd_open(struct memfd *m, const char *name, size_t size, enum memfd_kind kind)
{
	_cleanup_(closep) int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	void *p;
	int r;

	*m = (struct memfd){ .fd = -1 };
	if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
		return err_origin(-errno);
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return err_origin(-errno);
	r = memfd_seal(fd, kind);
	if (r < 0) {
		munmap(p, size);
		return err_trace(r);
	}
	*m = (struct memfd){ .fd = fd, .p = p, .size = size };
	fd = -1;
	return 0;
}

/* In pieces: for as long as one call takes nobody else in this process can map memory or fork, and
 * a thread that closes hundreds of megabytes is there so that the loop need not wait. */
static void memfd_unmap(const struct memfd *m)
{
	for (size_t at = 0; at < m->size; at += MEMFD_UNMAP_BYTES)
		munmap(m->p + at, MIN(m->size - at, MEMFD_UNMAP_BYTES));
}

void memfd_close(struct memfd *m)
{
	if (m->p)
		memfd_unmap(m);
	if (m->p && m->fd >= 0)
		close(m->fd);
	*m = (struct memfd){ .fd = -1 };
}

int memfd_read_only(const struct memfd *m)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", m->fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? err_origin(-errno) : fd;
}

void memfd_punch(const struct memfd *m, size_t offset, size_t n)
{
	/* Without room to give back (a block smaller than a page) there is nothing to do. */
	fallocate(m->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)n);
}
