/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Two halves of memory: everybody appends to the front one under a short lock, the writer swaps
 * them and writes the back one without it. The first line into an empty half wakes the writer,
 * which then gathers for a moment, so that a busy server pays one wake-up for hundreds of lines;
 * lines of the server's own log do not wait.
 */
#include "log/log.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/util.h"
#include "log/line.h"
#include "log/writer.h"

#define LOG_HALF ((size_t)4 << 20)
#define LOG_GATHER_NS (20 * NS_PER_MS)
#define LOG_TARGET_MAX ((size_t)8192)

static struct {
	atomic_int level;
	atomic_bool access, request_ids;
	atomic_uint_fast64_t lost;    /* did not fit */
	pthread_mutex_t lock;         /* of all below */
	pthread_cond_t work, written; /* for the writer, for log_flush() */
	bool running, stopping, urgent, reopen;
	struct log_half *front, *back;
	uint64_t front_no, written_no; /* halves are numbered as they are swapped */
	pthread_t thread;
	struct log_writer writer; /* the writer thread's own while it runs */
} g = { .level = LOG_INFO, .access = true, .lock = PTHREAD_MUTEX_INITIALIZER };

static pthread_once_t log_once = PTHREAD_ONCE_INIT;

static void log_init_once(void)
{
	pthread_condattr_t a;

	pthread_condattr_init(&a);
	pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
	pthread_cond_init(&g.work, &a);
	pthread_cond_init(&g.written, &a);
	pthread_condattr_destroy(&a);
}

/* Locked. Waits for the first line, then until the half is worth writing. */
static void log_wait_for_work(void)
{
	struct timespec t;
	uint64_t until;

	while (!g.front->n && !g.stopping && !g.reopen)
		pthread_cond_wait(&g.work, &g.lock);
	until = clock_now_ns() + LOG_GATHER_NS;
	t = (struct timespec){ (time_t)(until / NS_PER_S), (long)(until % NS_PER_S) };
	while (!g.urgent && !g.stopping && !g.reopen)
		if (pthread_cond_timedwait(&g.work, &g.lock, &t) == ETIMEDOUT)
			break;
}

static void *log_thread(_unused_ void *arg)
{
	bool stop = false;

	pthread_mutex_lock(&g.lock);
	while (!stop) {
		struct log_half *full;
		uint64_t no;
		bool reopen;

		log_wait_for_work();
		full = g.front;
		g.front = TAKE(g.back);
		no = g.front_no++;
		reopen = g.reopen;
		g.urgent = g.reopen = false;
		stop = g.stopping;
		/* From here on lines go to stderr: what came before is in `full`. */
		if (stop)
			g.running = false;
		pthread_mutex_unlock(&g.lock);

		log_writer_write(&g.writer, full, reopen, atomic_load(&g.lost));
		full->n = 0;

		pthread_mutex_lock(&g.lock);
		g.back = full;
		g.written_no = no;
		pthread_cond_broadcast(&g.written);
	}
	pthread_mutex_unlock(&g.lock);
	return NULL;
}

/* Signals are the main loop's, and a pipe without a reader must give EPIPE. */
static int log_start_thread(void)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&g.thread, NULL, log_thread, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -r;
}

int log_start(const struct log_config *c)
{
	int r, folders;

	assert(!g.running);
	pthread_once(&log_once, log_init_once);
	atomic_store(&g.level, c->level);
	atomic_store(&g.access, c->access);
	atomic_store(&g.request_ids, c->request_ids || c->json);
	atomic_store(&g.lost, 0);
	folders = log_writer_init(&g.writer, c);
	pthread_mutex_lock(&g.lock);
	g.front = log_half_create(LOG_HALF);
	g.back = log_half_create(LOG_HALF);
	g.stopping = g.urgent = g.reopen = false;
	g.front_no = 1;
	g.written_no = 0;
	r = log_start_thread();
	g.running = r == 0;
	pthread_mutex_unlock(&g.lock);
	if (r) {
		g.front = log_half_destroy(g.front);
		g.back = log_half_destroy(g.back);
		log_writer_finish(&g.writer);
		return err_origin(r);
	}
	if (g.writer.lines_error)
		log_warn("no log files in %s: %s; logging to the console only", c->location,
			 strerror(-g.writer.lines_error));
	if (g.writer.numbers_error && (!g.writer.lines_error || c->metrics_location))
		log_warn("no log files of metrics in %s: %s; METRICS_LOCATION (metrics_location) "
			 "says where they go",
			 c->metrics_location ? c->metrics_location : c->location,
			 strerror(-g.writer.numbers_error));
	return folders;
}

void log_stop(void)
{
	pthread_mutex_lock(&g.lock);
	if (!g.running) {
		pthread_mutex_unlock(&g.lock);
		return;
	}
	g.stopping = true;
	pthread_cond_signal(&g.work);
	pthread_mutex_unlock(&g.lock);
	pthread_join(g.thread, NULL);
	log_writer_finish(&g.writer);
	g.front = log_half_destroy(g.front);
	g.back = log_half_destroy(g.back);
}

void log_reopen(void)
{
	pthread_mutex_lock(&g.lock);
	if (g.running) {
		g.reopen = true;
		pthread_cond_signal(&g.work);
	}
	pthread_mutex_unlock(&g.lock);
}

void log_flush(void)
{
	uint64_t no;

	pthread_mutex_lock(&g.lock);
	if (g.running) {
		no = g.front->n || g.reopen ? g.front_no : g.front_no - 1;
		g.urgent = true;
		pthread_cond_signal(&g.work);
		while (g.written_no < no)
			pthread_cond_wait(&g.written, &g.lock);
	}
	pthread_mutex_unlock(&g.lock);
}

uint64_t log_dropped(void)
{
	return atomic_load(&g.lost) + log_writer_lost(&g.writer);
}

bool log_enabled(enum log_level level)
{
	return (int)level <= atomic_load_explicit(&g.level, memory_order_relaxed);
}

static void log_to_stderr(const struct line *l)
{
	size_t done = 0;

	while (done < l->n) {
		ssize_t r = write(STDERR_FILENO, l->p + done, l->n - done);

		if (r <= 0 && errno != EINTR)
			return;
		done += r > 0 ? (size_t)r : 0;
	}
}

static void log_put(enum log_file file, const struct line *l)
{
	bool running, wake, urgent;

	pthread_mutex_lock(&g.lock);
	running = g.running;
	if (running) {
		wake = !g.front->n;
		if (!log_half_put(g.front, file, l))
			atomic_fetch_add(&g.lost, 1);
		urgent = file == LOG_SERVER || g.front->n > LOG_HALF / 2;
		wake |= urgent && !g.urgent;
		g.urgent |= urgent;
		if (wake)
			pthread_cond_signal(&g.work);
	}
	pthread_mutex_unlock(&g.lock);
	if (!running)
		log_to_stderr(l);
}

static bool log_wanted(enum log_file file, enum log_level level)
{
	assert((unsigned)file < LOG_FILES);
	return (file != LOG_SERVER && file != LOG_MODEL) || log_enabled(level);
}

void log_text(enum log_file file, enum log_level level, const char *thread, const char *logger,
	      struct slice text)
{
	struct line l;

	if (!log_wanted(file, level))
		return;
	line_begin_long(&l, file == LOG_MODEL ? text.n : 0, level,
			slice_str(thread ? thread : "main"), slice_str(logger), clock_wall_ns());
	line_put_escaped(&l, text, LINE_LONG_MAX, false);
	line_end(&l);
	log_put(file, &l);
	line_finish(&l);
}

void log_line(enum log_file file, enum log_level level, const char *thread, const char *logger,
	      const char *fmt, ...)
{
	char text[LINE_TEXT_MAX];
	va_list args;
	int n;

	if (!log_wanted(file, level))
		return;
	va_start(args, fmt);
	n = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (n > 0)
		log_text(file, level, thread, logger,
			 slice_make(text, MIN((size_t)n, sizeof(text) - 1)));
}

void log_access(const char *peer, struct slice method, struct slice target, unsigned minor,
		int status, uint64_t duration_ms, const char *request_id)
{
	struct line l;

	if (!atomic_load_explicit(&g.access, memory_order_relaxed))
		return;
	line_begin(&l, LOG_INFO, SLICE("main"), SLICE("ACCESS_LOG"), clock_wall_ns());
	line_put_escaped(&l, slice_str(peer), LINE_NAME_MAX, true);
	line_put(&l, SLICE(" \""));
	line_put_escaped(&l, method, LINE_NAME_MAX, true);
	line_put(&l, SLICE(" "));
	line_put_escaped(&l, target, LOG_TARGET_MAX, true);
	line_put(&l, SLICE(" HTTP/1."));
	line_put_u64(&l, minor);
	line_put(&l, SLICE("\" "));
	line_put_u64(&l, status > 0 ? (unsigned)status : 0);
	line_put(&l, SLICE(" "));
	line_put_u64(&l, duration_ms);
	if (atomic_load_explicit(&g.request_ids, memory_order_relaxed)) {
		line_put(&l, SLICE(" "));
		line_put(&l, slice_str(request_id));
	}
	line_end(&l);
	log_put(LOG_ACCESS, &l);
}
