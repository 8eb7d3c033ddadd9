/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Where log lines end: a file that rotates, or the console. Lines are gathered and written in
 * large pieces by one thread (the log's writer). A destination that does not take them within a
 * moment (a stopped terminal, a pipe nobody reads) is stalled: lines are counted as lost until it
 * takes some again, and nobody waits for it meanwhile.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

#define OUTLET_STAGE ((size_t)65536) /* longer lines are written at once */

struct outlet {
	char *path;            /* of a file; NULL: a descriptor we were given */
	int fd;                /* -1: not open (yet), or a console that has gone */
	uint64_t rotate_bytes; /* 0: never */
	unsigned rotate_keep;
	bool regular;          /* a regular file: rotates, never stalls */
	bool owned;            /* `fd` is ours to close */
	bool socket, blocking; /* how to write without waiting */
	bool stalled;
	bool mid_line; /* the last write stopped within a line */
	uint64_t size; /* of the file, staged bytes not included */
	char *stage;
	size_t staged;
	uint64_t lost; /* lines that were not written */
	int error;     /* -errno of the last failure, for the report */
};

/* Takes `path`. The file is opened at the first line. */
void outlet_init_file(struct outlet *o, char *path, uint64_t rotate_bytes, unsigned rotate_keep);
/* Opens the file now. 0 or -errno; then the first line tries again. */
int outlet_open(struct outlet *o);
/* Uses `fd` without owning it, and without changing it for the processes we share it with. */
void outlet_init_console(struct outlet *o, int fd);
void outlet_finish(struct outlet *o); /* flushes, closes, frees; a zeroed outlet is fine */

/* Adds a line that comes in two pieces; it ends in a newline. */
void outlet_put(struct outlet *o, struct slice a, struct slice b);
void outlet_flush(struct outlet *o);
/* Closes a file, so that the next line opens it anew (somebody else rotates it). */
void outlet_reopen(struct outlet *o);
