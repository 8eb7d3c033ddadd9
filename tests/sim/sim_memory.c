/* SPDX-License-Identifier: Apache-2.0 */
#include "sim_process.h"

/* The front's memory, as a process sees it: what it was sent, and nothing else. */

#include <sys/mman.h>

#include "base/mem.h"
#include "sim.h"

static struct process_segment *process_segment(struct process *p, uint32_t id)
{
	for (unsigned i = 0; i < p->n_segments; i++)
		if (p->segments[i].id == id)
			return &p->segments[i];
	return NULL;
}

void process_map(struct sim *s, struct process *p, uint32_t id, uint64_t size, int fd)
{
	struct process_segment *g = process_segment(p, id);
	void *at = MAP_FAILED;

	if (!size) {
		if (!g)
			sim_fail(s, "process %u is to forget a segment it was not sent", p->number);
		munmap(g->p, g->size);
		*g = p->segments[--p->n_segments];
		return;
	}
	if (g || fd < 0)
		sim_fail(s, "process %u is sent segment %u twice, or without memory", p->number,
			 id);
	at = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		sim_fail(s, "process %u cannot map segment %u", p->number, id);
	if (mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED)
		sim_fail(s, "inbound memory can be mapped for writing");
	p->segments = mem_realloc(p->segments, (p->n_segments + 1) * sizeof(*p->segments));
	p->segments[p->n_segments++] = (struct process_segment){ id, at, size };
}

struct slice process_body(struct sim *s, struct process *p, const struct process_job *j)
{
	struct process_segment *g;

	if (!j->body.length)
		return SLICE_NULL;
	g = process_segment(p, j->body.segment);
	if (!g || j->body.offset > g->size || j->body.length > g->size - j->body.offset)
		sim_fail(s, "process %u has a request outside the segments it was sent", p->number);
	return slice_make(g->p + j->body.offset, j->body.length);
}
