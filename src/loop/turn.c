/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/turn.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/slice.h"
#include "base/util.h"
#include "log/log.h"

#define TURN_LOOK_NS (20 * NS_PER_MS) /* at most this often, for it is a system call */
#define TURN_WARN_NS NS_PER_S

/* ---- one turn ---- */

static void turn_close_callback(struct turn *t, uint64_t now_ns)
{
	uint64_t took_ns = now_ns - t->since_ns;

	if (took_ns <= t->longest_ns && t->longest)
		return;
	t->longest = t->name;
	t->longest_ns = took_ns;
}

void turn_enter(struct turn *t, const char *name, uint64_t now_ns)
{
	if (t->name) {
		turn_close_callback(t, now_ns);
	} else {
		t->began_ns = now_ns;
		t->longest = NULL;
		t->longest_ns = 0;
	}
	t->name = name;
	t->since_ns = now_ns;
}

uint64_t turn_leave(struct turn *t, uint64_t now_ns)
{
	if (!t->name)
		return 0;
	turn_close_callback(t, now_ns);
	t->name = NULL;
	return now_ns - t->began_ns;
}

/* ---- who had the CPU ---- */

/* "ran waited slices", in nanoseconds since the thread began. */
static uint64_t turn_waited(const struct turn *t)
{
	char text[96];
	ssize_t n = t->schedstat < 0 ? -1 : pread(t->schedstat, text, sizeof(text), 0);
	struct slice rest = slice_make(text, n > 0 ? (size_t)n : 0);
	uint64_t v = 0;

	slice_cut(&rest, ' ');
	return slice_u64(slice_cut(&rest, ' '), &v) ? v : 0;
}

/* What we waited since the last look, which may be a little before this turn: never too little. */
static uint64_t turn_look(struct turn *t, uint64_t now_ns)
{
	uint64_t before_ns = t->waited_ns;

	t->waited_ns = turn_waited(t);
	t->looked_ns = now_ns;
	return t->waited_ns > before_ns ? t->waited_ns - before_ns : 0;
}

static double turn_ms(uint64_t ns)
{
	return (double)ns / (double)NS_PER_MS;
}

static void turn_judge(struct turn *t, uint64_t took_ns, uint64_t now_ns)
{
	uint64_t waited_ns = turn_look(t, now_ns);
	char more[64] = "";

	waited_ns = MIN(waited_ns, took_ns);
	if (took_ns - waited_ns < t->warn_ns)
		return;
	if (t->warned_ns && now_ns - t->warned_ns < TURN_WARN_NS) {
		t->untold++;
		return;
	}
	if (t->untold)
		snprintf(more, sizeof(more), " (%u more such turns since the last warning)",
			 t->untold);
	log_line(
		LOG_SERVER, LOG_WARN, NULL, "sconce.loop",
		"The loop did not poll for %.0f ms, %.0f ms of them in %s; it waited %.0f ms for a "
		"CPU%s",
		turn_ms(took_ns), turn_ms(t->longest_ns), t->longest, turn_ms(waited_ns), more);
	t->warned_ns = now_ns;
	t->untold = 0;
}

static void turn_end(uv_prepare_t *h)
{
	struct turn *t = h->data;
	uint64_t now_ns = clock_now_ns(), took_ns;

	if (!t->name)
		return;
	log_commit();
	took_ns = turn_leave(t, now_ns);
	if (t->ended)
		t->ended(t->arg, took_ns);
	if (took_ns >= t->warn_ns)
		turn_judge(t, took_ns, now_ns);
	else if (now_ns - t->looked_ns > TURN_LOOK_NS)
		turn_look(t, now_ns);
}

/* ---- life ---- */

void turn_init(struct turn *t, uv_loop_t *loop, uint64_t warn_ns, turn_ended *ended, void *arg)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/task/%ld/schedstat", syscall(SYS_gettid));
	*t = (struct turn){ .warn_ns = warn_ns, .ended = ended, .arg = arg };
	t->schedstat = open(path, O_RDONLY | O_CLOEXEC);
	turn_look(t, clock_now_ns());
	uv_prepare_init(loop, &t->end);
	t->end.data = t;
	uv_prepare_start(&t->end, turn_end);
	uv_unref((uv_handle_t *)&t->end);
	loop->data = t;
}

void turn_finish(struct turn *t)
{
	t->end.loop->data = NULL;
	uv_close((uv_handle_t *)&t->end, NULL);
	closep(&t->schedstat);
	t->schedstat = -1;
}
