/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Reads the answers of a connection, strictly: the client's half of HTTP/1. */

#include <stdbool.h>

#include "base/buf.h"

enum answer_state {
	ANSWER_HEAD,
	ANSWER_KNOWN,
	ANSWER_SIZE,
	ANSWER_CHUNK,
	ANSWER_CRLF,
	ANSWER_END,
	ANSWER_CLOSE
};

struct answer_reader {
	enum answer_state state;
	struct buf line, body; /* of the present answer */
	bool begun;            /* bytes of it were seen */
	int status;
	bool closes, has_length, chunked, no_body;
	size_t left;
	const char *wrong; /* it broke a rule: which */
};

void answer_init(struct answer_reader *a);
void answer_finish(struct answer_reader *a);
enum { ANSWER_MORE, ANSWER_INTERIM, ANSWER_DONE, ANSWER_WRONG };
/* Eats from *in up to the end of an answer. `head`: its request was a HEAD. */
int answer_feed(struct answer_reader *a, struct slice *in, bool head);
/* The connection has ended. True: that was the end of the answer. */
bool answer_ended(const struct answer_reader *a);
/* The next one. */
void answer_next(struct answer_reader *a);
