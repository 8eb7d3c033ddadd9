/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "core/trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* The first line is a traceparent, the others are tracestates. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice rest = slice_make((const char *)data, n), text, first;
	struct tracestate state = { 0 }, again = { 0 };
	struct trace t = { 0 };
	char out[TRACEPARENT_LEN];

	first = slice_cut(&rest, '\n');
	if (traceparent_read(first, &t)) {
		/* Up to its flags what is written is what was read. */
		memcpy(t.span, t.parent, sizeof(t.span));
		traceparent_write(&t, out);
		assert(memcmp(out + 2, first.p + 2, TRACEPARENT_LEN - 4) == 0);
		assert(!(t.flags & ~(TRACE_SAMPLED | TRACE_RANDOM)));
	}
	while (rest.n)
		tracestate_add(&state, slice_cut(&rest, '\n'));
	text = tracestate_text(&state);
	assert(text.n <= TRACESTATE_MAX);
	/* What is passed on is read as the same. */
	tracestate_add(&again, text);
	assert(slice_eq(tracestate_text(&again), text));
	return 0;
}
