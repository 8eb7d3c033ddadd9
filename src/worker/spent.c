/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/spent.h"

#include "base/clock.h"
#include "base/util.h"

void spent_begin(struct spent *s, bool wanted, uint64_t seq)
{
	s->wanted = wanted;
	s->seq = seq;
	s->n = s->parent = 0;
}

static unsigned spent_put(struct spent *s, const char *name, uint64_t begin_ns, uint64_t end_ns)
{
	if (!s->wanted || s->n == FRAME_PHASES_MAX)
		return 0;
	s->phases[s->n++] = (struct frame_phase){ s->parent, begin_ns, end_ns, slice_str(name) };
	return s->n;
}

void spent_add(struct spent *s, const char *name, uint64_t begin_ns, uint64_t end_ns)
{
	spent_put(s, name, begin_ns, end_ns);
}

unsigned spent_open(struct spent *s, const char *name)
{
	unsigned phase = s->wanted ? spent_put(s, name, clock_now_ns(), 0) : 0;

	if (phase)
		s->parent = phase;
	return phase;
}

void spent_close(struct spent *s, unsigned phase)
{
	/* The frame may have gone meanwhile. */
	if (!phase || !s->wanted)
		return;
	assert(s->parent == phase && phase <= s->n);
	s->phases[phase - 1].end_ns = clock_now_ns();
	s->parent = s->phases[phase - 1].parent;
}

struct slice spent_frame(struct spent *s, char *packet)
{
	struct frame_writer fw;
	uint64_t now_ns;

	if (!s->wanted)
		return SLICE_NULL;
	s->wanted = false;
	now_ns = clock_now_ns();
	frame_begin(&fw, packet, FRAME_MAX, FRAME_TRACE, s->seq);
	for (unsigned i = 0; i < s->n; i++) {
		if (!s->phases[i].end_ns)
			s->phases[i].end_ns = now_ns;
		frame_put_phase(&fw, &s->phases[i]);
	}
	return frame_end(&fw);
}
