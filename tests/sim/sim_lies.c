/* SPDX-License-Identifier: Apache-2.0 */
#include "sim_process.h"

/* What a process sends when it is hostile. Each must end it, and nothing else. */

#include <string.h>

#include "base/util.h"
#include "sim.h"

#define LIE_OVERFILLS 64 /* together more than anybody may have on its way */
#define LIE_TURNS 200    /* until the front has read what was sent before it, too */

static struct frame_reply lie_reply(const struct process *p)
{
	struct list *l = list_first(&p->jobs);

	return (struct frame_reply){
		.status = 200,
		.flags = FRAME_REPLY_FINAL,
		.id = l ? container_of(l, struct process_job, link)->id : 1,
		.length = 3,
		.type = SLICE("text/plain"),
		.body = SLICE("lie"),
	};
}

static bool lie_send(struct process *p, const struct frame_reply *fr, unsigned times)
{
	static char packet[FRAME_MAX];
	struct frame_writer fw;

	frame_begin(&fw, packet, sizeof(packet), FRAME_CHUNK, UINT64_MAX);
	while (times--)
		frame_put_reply(&fw, fr);
	return process_send(p, frame_end(&fw));
}

/* No lie, but what HTTP does not allow: that request fails, and is over. */
static void lie_answer(struct process *p, const struct frame_reply *fr)
{
	struct list *l = list_first(&p->jobs);

	if (lie_send(p, fr, 1) && l)
		process_job_free(p, container_of(l, struct process_job, link));
}

static void lie_unknown_id(struct sim *s, struct process *p)
{
	struct frame_reply fr = lie_reply(p);

	fr.id = random_next(&s->random) | UINT64_C(1) << 63;
	lie_send(p, &fr, 1);
}

static bool lie_is_inside(struct span grant, uint64_t offset, uint64_t length)
{
	return grant.length && offset >= grant.offset && length <= grant.length &&
	       offset - grant.offset <= grant.length - length;
}

/* What is next to a grant, across its ends, another request's, or anything. */
static void lie_span(struct sim *s, const struct process *p, struct span grant,
		     struct frame_reply *fr)
{
	struct process_job *other = container_of(list_last(&p->jobs), struct process_job, link);
	uint64_t few = 1 + random_size(&s->random, 4096);

	fr->offset = grant.offset;
	fr->length = grant.length;
	switch (random_below(&s->random, 7)) {
	case 0:
		fr->length += few;
		return;
	case 1:
		fr->offset -= MIN(few, grant.offset);
		return;
	case 2:
		fr->offset += fr->length;
		fr->length = few;
		return;
	case 3:
		fr->offset = other->grant.offset;
		fr->length = other->grant.length;
		return;
	case 4:
		fr->offset += few;
		fr->length = UINT64_MAX - random_below(&s->random, 8192);
		return;
	case 5:
		fr->offset = random_next(&s->random) % p->outbound_size;
		fr->length = few;
		return;
	default:
		fr->offset = random_chance(&s->random, 500) ? random_next(&s->random) : 0;
		fr->length = random_chance(&s->random, 500) ? random_next(&s->random) : 1 << 20;
	}
}

/* Whoever does this has to be ended, even if nobody notices what was sent to whom. */
static void lie_outside_grant(struct sim *s, struct process *p)
{
	struct frame_reply fr = lie_reply(p);
	struct span grant = { 0 };
	struct process_job *j;

	/* A piece counts, too, for as long as its client takes others. */
	fr.flags = FRAME_REPLY_GRANTED | (random_chance(&s->random, 500) ? FRAME_REPLY_FINAL : 0);
	fr.body = SLICE_NULL;
	if (p->n_jobs) {
		j = container_of(list_first(&p->jobs), struct process_job, link);
		grant = j->grant;
		lie_span(s, p, grant, &fr);
		/* What it is granted meanwhile may be anywhere but here. */
		if (j->asked || lie_is_inside(grant, fr.offset, fr.length))
			fr.offset = 0;
		fr.length = MAX(fr.length, 1);
	}
	if (lie_send(p, &fr, 1) && p->n_jobs)
		p->convicted = s->figures.turns + LIE_TURNS;
}

static void lie_header(struct sim *s, struct process *p)
{
	struct frame_reply fr = lie_reply(p);
	char block[128];
	size_t n = frame_header_put(block, sizeof(block), SLICE("x-lie"),
				    SLICE("a\r\nContent-Length: 0\r\n\r\n"));

	(void)s;
	fr.headers = slice_make(block, n);
	lie_answer(p, &fr);
}

static void lie_status(struct sim *s, struct process *p)
{
	struct frame_reply fr = lie_reply(p);

	fr.status = (uint16_t)(random_chance(&s->random, 500) ? 0 : 1000);
	lie_answer(p, &fr);
}

/* The first answers, the second is one too many. */
static void lie_twice(struct sim *s, struct process *p)
{
	struct frame_reply fr = lie_reply(p);

	(void)s;
	fr.status = 500;
	fr.flags |= FRAME_REPLY_ERROR;
	lie_send(p, &fr, 2);
}

static void lie_garbage(struct sim *s, struct process *p)
{
	char packet[256];

	for (size_t i = 0; i < sizeof(packet); i++)
		packet[i] = (char)random_next(&s->random);
	process_send(p, slice_make(packet, 1 + random_below(&s->random, sizeof(packet))));
}

static void lie_type(struct sim *s, struct process *p)
{
	process_say(p, (enum frame_type)random_below(&s->random, 60), random_next(&s->random),
		    "{}");
}

static void lie_need(struct sim *s, struct process *p)
{
	char packet[FRAME_HEAD + 16];
	struct frame_writer fw;

	frame_begin(&fw, packet, sizeof(packet), FRAME_NEED, lie_reply(p).id);
	frame_put_u64(&fw, random_next(&s->random));
	if (process_send(p, frame_end(&fw)) && p->n_jobs)
		container_of(list_first(&p->jobs), struct process_job, link)->asked++;
}

/* Asks and asks, and reads no answer. */
static void lie_flood(struct sim *s, struct process *p)
{
	(void)s;
	p->deaf = true;
	p->lie--;
	p->fate_in = 0;
	for (unsigned i = 0; i < 2000; i++)
		if (!process_say(p, FRAME_CALL, i, "{}"))
			return;
}

/* More pieces of a stream than anybody can have taken. */
static void lie_overfill(struct sim *s, struct process *p)
{
	static char bytes[FRAME_INLINE_MAX];
	struct frame_reply fr = lie_reply(p);

	(void)s;
	/* Again, until somebody does something about it. Nobody has to where its client is quick:
	 * then it dies. */
	p->lie--;
	p->fate_in = 0;
	p->fate = ++p->overfills < LIE_OVERFILLS ? FATE_LIES : FATE_DIES;
	fr.flags = 0;
	fr.status = 500; /* so that it is nobody's planned answer */
	fr.length = sizeof(bytes);
	fr.body = slice_make(bytes, sizeof(bytes));
	p->piece_max = MAX(p->piece_max, sizeof(bytes));
	/* Behind these pieces its own answer would be neither. */
	if (p->n_jobs)
		container_of(list_first(&p->jobs), struct process_job, link)->overfilled = true;
	for (unsigned i = 0; i < 4 * FRAME_WINDOW_BYTES / sizeof(bytes); i++)
		lie_send(p, &fr, 1);
}

static void lie_interim(struct sim *s, struct process *p)
{
	struct frame_reply fr = lie_reply(p);
	struct process_job *j;

	(void)s;
	if (!p->n_jobs)
		return;
	j = container_of(list_first(&p->jobs), struct process_job, link);
	if (j->pieces_sent)
		return; /* then its status is of no account */
	fr.status = 101;
	lie_answer(p, &fr);
}

static void lie_again(struct sim *s, struct process *p)
{
	(void)s;
	process_say(p, FRAME_LOADED, 200, "{\"credits\":1000000}");
}

static void lie_metrics(struct sim *s, struct process *p)
{
	(void)s;
	process_say(p, FRAME_METRIC, 0, "[{\"name\":\"x\",\"value\":1e999},17,{}]");
}

/* A part of what comes behind it, an end before its beginning, or nothing at all. */
static void lie_trace(struct sim *s, struct process *p)
{
	struct frame_phase phase = { 1, 2, 1, SLICE("a lie") };
	char packet[256];
	struct frame_writer fw;

	frame_begin(&fw, packet, sizeof(packet), FRAME_TRACE, 1 + random_below(&s->random, 20));
	frame_put_phase(&fw, &phase);
	fw.count += (uint16_t)random_below(&s->random, 3);
	process_send(p, frame_end(&fw));
}

/* Some need a client that is slow, too. */
static void (*const lies[])(struct sim *s, struct process *p) = {
	lie_unknown_id, lie_outside_grant, lie_overfill, lie_header, lie_status, lie_twice,
	lie_overfill,   lie_garbage,       lie_type,     lie_need,   lie_flood,  lie_overfill,
	lie_again,      lie_interim,       lie_metrics,  lie_trace,
};

void process_lie(struct sim *s, struct process *p)
{
	unsigned which;

	/* Most are about a request. */
	if (!p->n_jobs && !random_chance(&s->random, 50))
		return;
	which = p->lie++ % ARRAY_LEN(lies);
	sim_say(s, "process %u lies: %u", p->number, which);
	p->fate_in = random_below(&s->random, 10);
	lies[which](s, p);
}
