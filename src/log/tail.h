/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The newest lines of a log that are about something. Looks at no more than LOG_TAIL_READ bytes of
 * the file, and of the one that was rotated last, however large they are. Blocking: a thread's
 * work. One owner.
 */

#include "base/buf.h"
#include "log/match.h"

#define LOG_TAIL_LINES 1000
#define LOG_TAIL_READ ((size_t)2 << 20)
#define LOG_TAIL_TEXT ((size_t)512 << 10) /* of the lines that are kept */

struct log_tail {
	struct buf text;                    /* what was looked at */
	struct slice lines[LOG_TAIL_LINES]; /* in it, without newlines, oldest first */
	unsigned n;
	bool more; /* there are older lines, which were not looked at or not kept */
};

/* At most `lines` (1 … LOG_TAIL_LINES) that the filter takes and that name the worker of this id,
 * "9000" (SLICE_NULL: any). 0, or -errno: the file cannot be read. */
int log_tail_read(struct log_tail *t, const char *path, const struct log_filter *f,
		  struct slice worker, unsigned lines);
void log_tail_finish(struct log_tail *t);
