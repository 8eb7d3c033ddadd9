/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Where a request body goes. The connection asks the sink for room and reads from the socket
 * straight into it, so a body of known length costs no copy. The API layer supplies sinks (over
 * the shared pool); net/ knows nothing of pools.
 *
 * Order of calls: begin once; then room + filled any number of times; then either end (body
 * complete) or abort (client left, limit, error), exactly one of them. Loop thread only.
 */

#include <stddef.h>
#include <stdint.h>

/* Answers of begin and room. */
enum sink_answer {
	SINK_OK = 0,
	SINK_TOO_LARGE = 1, /* net answers 413 */
	SINK_BUSY = 2,      /* the memory budget is used up: net answers 503 */
};

struct sink;

struct sink_ops {
	/* `length` is the Content-Length, or HTTP_LENGTH_UNKNOWN (chunked). */
	int (*begin)(struct sink *s, uint64_t length);
	/* Gives at least one byte of room (up to what is convenient; `want` is a hint). */
	int (*room)(struct sink *s, size_t want, char **ret, size_t *ret_n);
	void (*filled)(struct sink *s, size_t n);
	void (*end)(struct sink *s);
	void (*abort)(struct sink *s);
};

struct sink {
	const struct sink_ops *ops;
};
