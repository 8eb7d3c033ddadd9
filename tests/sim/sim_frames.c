/* SPDX-License-Identifier: Apache-2.0 */
#include "sim_process.h"

/* What a process sends when it is honest: the answer that the request asks for. */

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "sim.h"

bool process_send(struct process *p, struct slice packet)
{
	return send(p->fd, packet.p, packet.n, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
}

bool process_say(struct process *p, enum frame_type type, uint64_t arg, const char *json)
{
	char packet[1024];
	struct frame_writer fw;

	frame_begin(&fw, packet, sizeof(packet), type, arg);
	frame_put_bytes(&fw, slice_str(json));
	return process_send(p, frame_end(&fw));
}

static bool process_need(struct process *p, struct process_job *j, size_t n)
{
	char packet[FRAME_HEAD + 16];
	struct frame_writer fw;

	frame_begin(&fw, packet, sizeof(packet), FRAME_NEED, j->id);
	frame_put_u64(&fw, n);
	j->asked += process_send(p, frame_end(&fw));
	return false;
}

/* Before the last reply, where it was asked for. */
static void process_tell_trace(struct process *p, const struct process_job *j)
{
	uint64_t now_ns = system_now_ns(), then_ns = now_ns > NS_PER_MS ? now_ns - NS_PER_MS : 0;
	char packet[256];
	struct frame_writer fw;

	if (!(j->run_flags & FRAME_RUN_TRACE))
		return;
	frame_begin(&fw, packet, sizeof(packet), FRAME_TRACE, j->seq);
	frame_put_phase(&fw, &(struct frame_phase){ 0, then_ns, now_ns, SLICE("worker") });
	frame_put_phase(&fw, &(struct frame_phase){ 1, then_ns, now_ns, SLICE("handler") });
	process_send(p, frame_end(&fw));
}

/* Sends one reply. True: it is out. */
static bool process_reply(struct process *p, const struct frame_reply *fr)
{
	static char packet[FRAME_MAX];
	struct frame_writer fw;

	frame_begin(&fw, packet, sizeof(packet), FRAME_CHUNK, 1000);
	if (frame_put_reply(&fw, fr) < 0)
		return false;
	if (!(fr->flags & FRAME_REPLY_FINAL))
		p->piece_max = MAX(p->piece_max, fr->length);
	return process_send(p, frame_end(&fw));
}

static bool process_reply_text(struct process *p, struct process_job *j, int status, bool error,
			       const char *text)
{
	struct frame_reply fr = {
		.status = (uint16_t)status,
		.flags = (uint16_t)(FRAME_REPLY_FINAL | (error ? FRAME_REPLY_ERROR : 0)),
		.id = j->id,
		.length = strlen(text),
		.type = SLICE("text/plain"),
		.body = slice_str(text),
	};

	process_tell_trace(p, j);
	if (!process_reply(p, &fr))
		return false;
	p->state_ns[j->lane] = system_now_ns();
	process_job_free(p, j);
	return true;
}

/* One of a stream, of any number. */
static bool process_reply_piece(struct process *p, const struct process_job *j, const char *text)
{
	struct frame_reply fr = { .status = 200,
				  .id = j->id,
				  .length = strlen(text),
				  .type = SLICE("text/plain"),
				  .body = slice_str(text) };

	return process_reply(p, &fr);
}

/* The bytes of piece i of an answer. */
static void process_piece(const struct ask_plan *plan, unsigned i, struct buf *b)
{
	size_t from = plan->size * i / plan->pieces, to = plan->size * (i + 1) / plan->pieces;

	if (i == 0)
		buf_printf(b, "%016llx ", (unsigned long long)plan->token);
	token_put(b, plan->token, from, to - from);
}

/* Its client has not taken enough of the pieces before it. Looked at before there is one: a long
 * one takes long to make. */
static bool process_is_held(const struct process_job *j, const struct ask_plan *plan)
{
	return j->pieces_sent + 1 < plan->pieces && j->window >= FRAME_WINDOW_BYTES;
}

/* With continuous batching a handler may say that sequences are over: its request's, and another.
 */
static struct slice process_ends_sequences(struct sim *s, const struct process *p,
					   const struct process_job *j, char *block, size_t room)
{
	unsigned other = 1 + random_below(&s->random, PROCESS_LANES - 1);
	char ids[32];

	if (!j->lane || !p->worker->model.manifest->continuous_batching ||
	    !random_chance(&s->random, 15))
		return SLICE_NULL;
	snprintf(ids, sizeof(ids), "s%u; s%u", j->lane - 1, other - 1);
	s->ended[j->lane] = s->ended[other] = true;
	return slice_make(block, frame_header_put(block, room, SLICE("ts_request_sequence_end"),
						  slice_str(ids)));
}

static bool process_send_piece(struct sim *s, struct process *p, struct process_job *j,
			       const struct ask_plan *plan, struct slice bytes)
{
	bool last = j->pieces_sent + 1 >= plan->pieces, inline_ = bytes.n <= FRAME_INLINE_MAX;
	struct frame_reply fr = { .status = (uint16_t)plan->status,
				  .flags = last ? FRAME_REPLY_FINAL : 0,
				  .id = j->id,
				  .length = bytes.n,
				  .type = SLICE("text/plain"),
				  .body = inline_ ? bytes : SLICE_NULL };
	char headers[64];

	if (!inline_) {
		if (j->grant.length < bytes.n)
			return process_need(p, j, bytes.n);
		memcpy(p->outbound + j->grant.offset, bytes.p, bytes.n);
		fr.flags |= FRAME_REPLY_GRANTED;
		fr.offset = j->grant.offset;
	}
	if (last)
		process_tell_trace(p, j);
	fr.headers = process_ends_sequences(s, p, j, headers, sizeof(headers));
	if (!process_reply(p, &fr))
		return false;
	if (!inline_)
		j->grant = (struct span){ 0 };
	p->state_ns[j->lane] = system_now_ns();
	j->pieces_sent++;
	j->window += bytes.n;
	if (last)
		process_job_free(p, j);
	return true;
}

bool process_answer(struct sim *s, struct process *p, struct process_job *j)
{
	struct slice body = process_body(s, p, j), rest = body;
	struct buf bytes = BUF_INIT(2 * SIM_REQUEST_MAX);
	struct ask_plan plan;
	bool sent;

	if (j->asked)
		return false;
	if (j->run_flags & FRAME_RUN_DESCRIBE && random_chance(&s->random, 300))
		return process_reply_piece(p, j, "a piece that says nothing of a model");
	if (j->run_flags & FRAME_RUN_DESCRIBE)
		return process_reply_text(p, j, 200, false, "{\"simulated\":true}");
	if (!body.n)
		return process_reply_text(p, j, 200, false, "empty");
	if (!plan_read(&rest, &plan) ||
	    (!process_is_held(j, &plan) && !token_check(plan.token, 0, rest))) {
		/* A liar may have answered it already. */
		if (process_lies(p))
			return process_reply_text(p, j, 500, true, "a lie too many");
		sim_fail(s, "process %u: the body of request %llu is not what was sent (%zu bytes)",
			 p->number, (unsigned long long)j->id, body.n);
	}
	if (j->refused || (j->cancelled && random_chance(&s->random, 300)))
		return process_reply_text(p, j, 507, true, "there is no memory");
	if (process_is_held(j, &plan))
		return false;
	process_piece(&plan, j->pieces_sent, &bytes);
	sent = process_send_piece(s, p, j, &plan, buf_slice(&bytes));
	buf_finish(&bytes);
	return sent;
}
