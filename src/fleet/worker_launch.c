/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/worker.h"

/* A process for a worker's place: its channel, where its output goes, and who makes it. */

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "fleet/maker.h"
#include "log/log.h"

/* A fork takes a millisecond or many, and hundreds may be wanted at once: one turn makes processes
 * for so long, the next goes on. */
#define WORKER_LAUNCHES_NS (5 * NS_PER_MS)

/* Asks every way that suits, until one works. */
static int worker_make(struct worker *w, const int ends[4])
{
	for (const struct worker_maker *const *m = w->shared->makers; *m; m++) {
		int r;

		if ((*m)->suits && !(*m)->suits(w))
			continue;
		w->maker = *m;
		r = (*m)->start(w, ends);
		w->half_made = r == MAKER_MORE;
		if (r != MAKER_OFF)
			return MIN(r, 0);
		if ((*m)->clear)
			(*m)->clear(w);
	}
	return -ENOENT;
}

/* Pipes to the log; or, for who writes the handler, the terminal, so that a debugger works. */
static int worker_open_output(struct worker *w, int ends[4])
{
	int r;

	if (w->shared->settings->dev) {
		ends[0] = STDIN_FILENO;
		ends[1] = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
		ends[2] = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
		return ends[1] < 0 || ends[2] < 0 ? err_origin(-errno) : 0;
	}
	r = output_open(&w->out, w->shared->loop, w->label, false, &ends[1]);
	if (!r)
		r = output_open(&w->err, w->shared->loop, w->label, true, &ends[2]);
	return r;
}

/* What is half made is of no use to anybody, so it goes before others. */
static void worker_launch_rest(struct worker *w)
{
	if (!w->half_made)
		return;
	list_push_front(&w->shared->launches, &w->launch);
	w->ops->touch(w->owner);
}

int worker_launch(struct worker *w)
{
	int ends[4] = { -1, -1, -1, -1 };
	int r;

	r = channel_open(&w->channel, w->shared->loop, &ends[3]);
	w->channel.received = worker_received;
	w->channel.broken = worker_broken;
	if (!r)
		r = worker_open_output(w, ends);
	if (!r)
		r = worker_make(w, ends);
	for (size_t i = 1; i < ARRAY_LEN(ends); i++)
		closep(&ends[i]);
	worker_launch_rest(w);
	return r < 0 ? err_trace(r) : 0;
}

void worker_not_launched(struct worker *w, int error)
{
	log_error("%s: cannot start a process: %s", w->label, strerror(-error));
	if (!w->load_message)
		w->load_message = mem_printf("its process cannot be started: %s", strerror(-error));
	worker_end_soon(w, "could not be started");
}

/* ---- not all in one turn ---- */

static void worker_launch_later(struct worker *w)
{
	list_push_back(&w->shared->launches, &w->launch);
	w->ops->touch(w->owner);
}

static int worker_go_on(struct worker *w)
{
	int r = w->maker->go_on(w);

	w->half_made = r == MAKER_MORE;
	worker_launch_rest(w);
	return MIN(r, 0);
}

/* Who made it is gone, and has not made it: some other way. All of a zygote come at once. */
void worker_launch_again(struct worker *w)
{
	assert(w->maker && !w->pid && !w->doomed);
	channel_close(&w->channel);
	output_close(&w->out);
	output_close(&w->err);
	/* It may have made it after all, without a word of that: it ends with its channel. */
	if (w->state != WORKER_STARTING && w->state != WORKER_LOADING) {
		worker_end_soon(w, "has ended with what had made it");
		return;
	}
	w->state = WORKER_STARTING;
	worker_memory_unref(TAKE(w->memory));
	worker_launch_later(w);
}

static void worker_start_timed(struct worker *w)
{
	uint64_t began_ns = clock_now_ns();
	int r = 0;

	if (!w->maker)
		worker_start(w);
	else if (w->half_made)
		r = worker_go_on(w);
	else
		r = worker_launch(w);
	if (r < 0)
		worker_not_launched(w, r);
	w->shared->launch_ns += clock_now_ns() - began_ns;
}

void worker_start_soon(struct worker *w)
{
	if (w->shared->launch_ns < WORKER_LAUNCHES_NS) {
		worker_start_timed(w);
		return;
	}
	assert(w->state == WORKER_WAITING);
	w->resting = false;
	worker_launch_later(w);
}

void workers_launch(struct worker_shared *s)
{
	struct list *n;

	s->launch_ns = 0;
	while (s->launch_ns < WORKER_LAUNCHES_NS && (n = list_pop(&s->launches)))
		worker_start_timed(container_of(n, struct worker, launch));
	n = list_first(&s->launches);
	if (n) {
		struct worker *w = container_of(n, struct worker, launch);

		w->ops->touch(w->owner);
	}
}

unsigned worker_threads(const struct worker *w)
{
	return w->maker->threads ? w->maker->threads(w) : w->ops->threads(w->owner);
}
