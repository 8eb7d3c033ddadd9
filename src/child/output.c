/* SPDX-License-Identifier: Apache-2.0 */
#include "child/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "log/log.h"
#include "loop/turn.h"

#define OUTPUT_BURST 16    /* reads of 4 KiB in a turn of the loop, … */
#define OUTPUT_LINES 1024U /* … unless they are so many lines: each costs more than its bytes */
#define OUTPUT_KEEP ((size_t)65536)
#define OUTPUT_DRAIN_MAX 64 /* reads of 4 KiB after the end: what fits a pipe */

/* The memory of an ordinary line is kept for the next one. */
static void output_end_line(struct output *o)
{
	log_output(o->error ? LOG_WARN : LOG_INFO, o->label, "MODEL_LOG", buf_slice(&o->line));
	if (o->line.room > OUTPUT_KEEP) {
		buf_finish(&o->line);
		buf_init(&o->line, OUTPUT_LINE_MAX);
	}
	buf_clear(&o->line);
	o->lines++;
}

/* What is beyond the bound is dropped; the log marks the line as cut. */
static void output_add(struct output *o, struct slice text)
{
	buf_append(&o->line, text.p, MIN(text.n, OUTPUT_LINE_MAX - o->line.n));
	if (text.n)
		o->returned = false;
}

/* A carriage return ends a line, too: progress bars end theirs with nothing else. Before a newline
 * it belongs to that; at the start of a line it ends nothing. */
static void output_break(struct output *o, char c)
{
	bool text = o->line.n;

	if (text || (c == '\n' && !o->returned))
		output_end_line(o);
	o->returned = c == '\r' && (text || o->returned);
}

static void output_feed(struct output *o, struct slice in)
{
	while (in.n) {
		size_t n = 0;

		while (n < in.n && in.p[n] != '\n' && in.p[n] != '\r')
			n++;
		output_add(o, slice_make(in.p, n));
		if (n == in.n)
			return;
		output_break(o, in.p[n]);
		in = slice_make(in.p + n + 1, in.n - n - 1);
	}
}

/* > 0: bytes read; 0: nothing there; < 0: end. */
static int output_read(struct output *o)
{
	char chunk[4096];
	ssize_t n = read(o->fd, chunk, sizeof(chunk));

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	if (n == 0)
		return -1;
	output_feed(o, slice_make(chunk, (size_t)n));
	return (int)n;
}

static void output_ready(uv_poll_t *p, int status, int events)
{
	struct output *o = p->data;
	int r = status;

	TURN(p);
	(void)events;
	o->lines = 0;
	for (int i = 0; i < OUTPUT_BURST && o->lines < OUTPUT_LINES && r >= 0; i++) {
		r = output_read(o);
		if (r == 0)
			return;
	}
	if (r < 0)
		output_close(o);
}

int output_open(struct output *o, uv_loop_t *loop, const char *worker, bool error, int *ret_peer)
{
	int pair[2];
	int r;

	if (pipe2(pair, O_CLOEXEC) < 0)
		return err_origin(-errno);
	fcntl(pair[0], F_SETFL, O_NONBLOCK);
	snprintf(o->label, sizeof(o->label), "%s-%s", worker, error ? "stderr" : "stdout");
	o->error = error;
	o->returned = false;
	o->fd = pair[0];
	buf_init(&o->line, OUTPUT_LINE_MAX);
	o->poll = mem_new(uv_poll_t);
	o->poll->data = o;
	r = uv_poll_init(loop, o->poll, o->fd);
	if (!r)
		r = uv_poll_start(o->poll, UV_READABLE, output_ready);
	if (r) {
		free(TAKE(o->poll));
		close(pair[0]);
		close(pair[1]);
		return err_origin(r);
	}
	*ret_peer = pair[1];
	return 0;
}

static void output_closed(uv_handle_t *h)
{
	free(h);
}

void output_close(struct output *o)
{
	if (!o->poll)
		return;
	if (o->line.n)
		output_end_line(o);
	buf_finish(&o->line);
	uv_poll_stop(o->poll);
	uv_close((uv_handle_t *)TAKE(o->poll), output_closed);
	close(o->fd);
	o->fd = -1;
}

void output_drain(struct output *o)
{
	for (int i = 0; o->poll && i < OUTPUT_DRAIN_MAX; i++)
		if (output_read(o) <= 0)
			break;
	output_close(o);
}
