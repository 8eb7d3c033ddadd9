/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/memory.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/util.h"
#include "wire/frame.h"

static int memory_map(int fd, uint64_t size, int protection, void **ret)
{
	struct stat st;
	int r = 0;

	if (fstat(fd, &st) < 0)
		r = -errno;
	else if (!size || (uint64_t)st.st_size < size)
		r = -EBADMSG;
	if (!r) {
		*ret = mmap(NULL, (size_t)size, protection, MAP_SHARED, fd, 0);
		r = *ret == MAP_FAILED ? -errno : 0;
	}
	close(fd);
	return r;
}

int memory_add(struct memory *m, uint32_t id, uint64_t size, int fd)
{
	void *p;
	int r = memory_map(fd, size, PROT_READ, &p);

	if (r < 0)
		return r;
	m->segments = mem_realloc(m->segments, (m->n + 1) * sizeof(*m->segments));
	m->segments[m->n++] = (struct memory_segment){ id, p, (size_t)size };
	return 0;
}

int memory_set_outbound(struct memory *m, int fd)
{
	struct stat st;
	void *p;
	int r;

	if (m->outbound || fstat(fd, &st) < 0) {
		close(fd);
		return -EBADMSG;
	}
	r = memory_map(fd, (uint64_t)st.st_size, PROT_READ | PROT_WRITE, &p);
	if (r < 0)
		return r;
	m->outbound = p;
	m->outbound_size = (size_t)st.st_size;
	return m->outbound_size < FRAME_STATUS_PAGE ? -EBADMSG : 0;
}

void memory_drop(struct memory *m, uint32_t id)
{
	for (size_t i = 0; i < m->n; i++) {
		if (m->segments[i].id != id)
			continue;
		munmap((void *)(uintptr_t)m->segments[i].p, m->segments[i].size);
		m->segments[i] = m->segments[--m->n];
		return;
	}
}

void memory_finish(struct memory *m)
{
	while (m->n)
		memory_drop(m, m->segments[0].id);
	if (m->outbound)
		munmap(m->outbound, m->outbound_size);
	free(m->segments);
	*m = (struct memory){ 0 };
}

bool memory_view(const struct memory *m, struct span s, struct slice *ret)
{
	*ret = SLICE("");
	for (size_t i = 0; i < m->n && s.length; i++) {
		const struct memory_segment *g = &m->segments[i];

		if (g->id != s.segment)
			continue;
		if (s.length > g->size || s.offset > g->size - s.length)
			return false;
		*ret = slice_make(g->p + s.offset, (size_t)s.length);
		return true;
	}
	return !s.length;
}

char *memory_grant(const struct memory *m, struct span g)
{
	if (g.length > m->outbound_size || g.offset > m->outbound_size - g.length ||
	    g.offset < FRAME_STATUS_PAGE)
		return NULL;
	return m->outbound + g.offset;
}

void memory_begin(struct memory *m, uint64_t seq)
{
	__atomic_store_n((uint64_t *)(void *)m->outbound, seq, __ATOMIC_RELAXED);
}
