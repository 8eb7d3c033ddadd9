/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/replies.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define REPLIES_HEADERS_MAX 600

void replies_begin(struct replies *p, struct session *s, struct spent *spent)
{
	p->session = s;
	p->spent = spent;
	p->busy_ns = p->n = 0;
	frame_begin(&p->writer, p->packet, sizeof(p->packet), FRAME_CHUNK, 0);
}

void replies_tell_spent(struct replies *p)
{
	char *packet = p->spent->wanted ? mem_alloc(FRAME_MAX) : NULL;
	struct slice frame = packet ? spent_frame(p->spent, packet) : SLICE_NULL;

	if (frame.n)
		session_send(p->session, frame);
	free(packet);
}

void replies_flush(struct replies *p)
{
	struct slice packet;

	if (!p->n)
		return;
	replies_tell_spent(p);
	/* The time is known only now. */
	memcpy(p->packet + 8, &p->busy_ns, sizeof(p->busy_ns));
	packet = frame_end(&p->writer);
	session_send(p->session, packet);
	replies_begin(p, p->session, p->spent);
}

static void replies_add(struct replies *p, const struct frame_reply *reply)
{
	if (p->n && p->writer.n > FRAME_SOFT)
		replies_flush(p);
	if (frame_put_reply(&p->writer, reply) < 0) {
		replies_flush(p);
		if (frame_put_reply(&p->writer, reply) < 0)
			assert(!"an inline reply fits a frame");
	}
	p->n++;
}

void replies_fail(struct replies *p, struct session_request *r, int status, const char *message)
{
	r->over = true;
	replies_add(p, &(struct frame_reply){ .status = (uint16_t)status,
					      .flags = FRAME_REPLY_FINAL | FRAME_REPLY_ERROR,
					      .id = r->entry.id,
					      .length = strlen(message),
					      .body = slice_str(message) });
}

void replies_nobody(struct replies *p, struct session_request *r)
{
	replies_fail(p, r, 499, "The client has left.");
}

static struct slice replies_headers(const struct answer *a, char *p, size_t room)
{
	size_t n = 0;

	if (a->dtype) {
		n += frame_header_put(p, room, SLICE("x-tensor-dtype"), slice_str(a->dtype));
		n += frame_header_put(p + n, room - n, SLICE("x-tensor-shape"),
				      slice_str(a->shape));
	}
	return slice_make(p, n);
}

void replies_put_granted(struct replies *p, struct session_request *r, const struct answer *a,
			 uint64_t length)
{
	char headers[REPLIES_HEADERS_MAX];

	r->over = true;
	replies_add(p, &(struct frame_reply){
			       .status = 200,
			       .flags = FRAME_REPLY_FINAL | FRAME_REPLY_GRANTED,
			       .id = r->entry.id,
			       .offset = r->grant.offset,
			       .length = length,
			       .type = slice_str(a->type),
			       .headers = replies_headers(a, headers, sizeof(headers)) });
}

/* Too large for a frame. */
static void replies_put_large(struct replies *p, struct session_request *r, const struct answer *a)
{
	struct session *s = p->session;
	char message[128], *place;

	if (a->body.n > s->max_response_size) {
		snprintf(message, sizeof(message),
			 "The response has %zu bytes, max_response_size allows %llu.", a->body.n,
			 (unsigned long long)s->max_response_size);
		replies_fail(p, r, 507, message);
		return;
	}
	if (r->grant.length < a->body.n) {
		replies_flush(p);
		if (!session_need(s, r, a->body.n)) {
			snprintf(message, sizeof(message),
				 "There is no memory for a response of %zu bytes now.", a->body.n);
			if (session_cancelled(s, r))
				replies_nobody(p, r);
			else
				replies_fail(p, r, 507, message);
			return;
		}
	}
	place = memory_grant(&s->memory, r->grant);
	if (!place) {
		replies_fail(p, r, 500, "The memory for the response is not the worker's.");
		return;
	}
	memcpy(place, a->body.p, a->body.n);
	replies_put_granted(p, r, a, a->body.n);
}

void replies_put(struct replies *p, struct session_request *r, const struct answer *a)
{
	char headers[REPLIES_HEADERS_MAX];

	if (a->body.n > FRAME_INLINE_MAX) {
		replies_put_large(p, r, a);
		return;
	}
	r->over = true;
	replies_add(p,
		    &(struct frame_reply){ .status = 200,
					   .flags = FRAME_REPLY_FINAL,
					   .id = r->entry.id,
					   .length = a->body.n,
					   .type = slice_str(a->type),
					   .headers = replies_headers(a, headers, sizeof(headers)),
					   .body = buf_slice(&a->body) });
}
