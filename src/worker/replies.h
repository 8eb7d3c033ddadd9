/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Replies of one instance on their way out: packed into frames, large bodies through grants. One
 * thread. */

#include "worker/answer.h"
#include "worker/session.h"
#include "worker/spent.h"

struct replies {
	struct session *session;
	struct spent *spent; /* goes before them */
	struct frame_writer writer;
	uint64_t busy_ns; /* of the batches that the frame ends */
	unsigned n;
	char packet[FRAME_MAX];
};

void replies_begin(struct replies *p, struct session *s, struct spent *spent);
/* How the time was spent, as far as that is known, if that is wanted. */
void replies_tell_spent(struct replies *p);
void replies_flush(struct replies *p);
/* The request's one answer. */
void replies_put(struct replies *p, struct session_request *r, const struct answer *a);
/* The same, whose body lies in the request's grant already. */
void replies_put_granted(struct replies *p, struct session_request *r, const struct answer *a,
			 uint64_t length);
/* An error, around whose message the front writes the document. */
void replies_fail(struct replies *p, struct session_request *r, int status, const char *message);
/* The error of a request that was cancelled. */
void replies_nobody(struct replies *p, struct session_request *r);
