/* SPDX-License-Identifier: Apache-2.0 */

/* A test tool: reads one frame from stdin, takes it apart and writes it again from the parts, so
 * that the Python side can be checked against this one. Exit code 1: refused. */

#include <stdio.h>

#include "base/util.h"
#include "wire/frame.h"

#define ECHO_PARTS 64

static int echo_requests(struct frame_writer *w, const struct frame *f)
{
	struct slice rest = f->body;

	for (unsigned i = 0; i < f->count; i++) {
		struct frame_part parts[ECHO_PARTS];
		struct frame_request r;

		if (frame_request_next(&rest, &r) < 0 || r.n_parts > ECHO_PARTS)
			return -1;
		for (unsigned k = 0; k < r.n_parts; k++)
			if (frame_part_next(&r, &parts[k]) < 0)
				return -1;
		if (frame_put_request(w, &r, parts) < 0)
			return -1;
	}
	return rest.n ? -1 : 0;
}

static int echo_replies(struct frame_writer *w, const struct frame *f)
{
	struct slice rest = f->body;
	struct frame_reply r;

	for (unsigned i = 0; i < f->count; i++)
		if (frame_reply_next(&rest, &r) < 0 || frame_put_reply(w, &r) < 0)
			return -1;
	return rest.n ? -1 : 0;
}

static int echo_phases(struct frame_writer *w, const struct frame *f)
{
	struct slice rest = f->body;
	struct frame_phase p;

	for (unsigned i = 0; i < f->count; i++)
		if (frame_phase_next(&rest, i + 1, &p) < 0 || frame_put_phase(w, &p) < 0)
			return -1;
	return rest.n ? -1 : 0;
}

int main(void)
{
	static char in[FRAME_MAX + 1], out[FRAME_MAX];
	size_t n = fread(in, 1, sizeof(in), stdin);
	struct frame_writer w;
	struct slice packet;
	struct frame f;
	int r = -1;

	if (frame_read(slice_make(in, n), &f) < 0)
		return 1;
	frame_begin(&w, out, sizeof(out), (enum frame_type)f.type, f.arg);
	if (f.type == FRAME_RUN)
		r = echo_requests(&w, &f);
	else if (f.type == FRAME_CHUNK)
		r = echo_replies(&w, &f);
	else if (f.type == FRAME_TRACE)
		r = echo_phases(&w, &f);
	if (r < 0)
		return 1;
	packet = frame_end(&w);
	return fwrite(packet.p, 1, packet.n, stdout) == packet.n ? 0 : 1;
}
