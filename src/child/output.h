/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A worker's stdout or stderr: a pipe, read without blocking, cut into lines for the model log.
 * Lines longer than 1 MiB are cut. Loop thread only.
 */

#include <uv.h>

#include "base/buf.h"

#define OUTPUT_LINE_MAX ((size_t)1 << 20)

struct output {
	uv_poll_t *poll; /* NULL: closed */
	int fd;
	char label[160]; /* "W-9000-noop_1.0-stdout" */
	bool error;      /* stderr: logged as a warning */
	bool returned;   /* the last line was ended by a carriage return */
	unsigned lines;  /* in this turn */
	struct buf line;
};

/* Makes a pipe; *ret_peer is the end for the child (close it after handing it on). */
int output_open(struct output *o, uv_loop_t *loop, const char *worker, bool error, int *ret_peer);
/* Reads what is there now, then closes. */
void output_drain(struct output *o);
void output_close(struct output *o);
