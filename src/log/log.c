/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Two halves of memory: everybody appends to the front one under a short lock, the writer swaps
 * them and writes the back one without it. The writer is woken at the end of a turn of the loop, or
 * gathers for a moment when it has just written; lines of the server's own log do not wait.
 */
#include "log/log.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/list.h"
#include "base/util.h"
#include "log/form_internal.h"
#include "log/line.h"
#include "log/writer.h"

#define LOG_HALF ((size_t)4 << 20)
#define LOG_GATHER_MS 20
#define LOG_BURST 32 /* times that may be written in a row without gathering */
#define LOG_TARGET_MAX ((size_t)8192)

static struct {
	atomic_int level;
	atomic_bool access, request_ids, json;
	atomic_uint_fast64_t lost;    /* did not fit */
	pthread_mutex_t lock;         /* of all below */
	pthread_cond_t work, written; /* for the writer, for log_flush() */
	bool running, stopping, urgent, reopen;
	bool commits, committed, idle; /* somebody commits; has; the writer waits for that */
	uint64_t gather_ns;
	uint64_t full_ns; /* when a burst would be allowed again */
	struct list dead; /* forms, until the writer has no values of theirs */
	struct log_half *front, *back;
	uint64_t front_no, written_no; /* halves are numbered as they are swapped */
	pthread_t thread;
	struct log_writer writer; /* the writer thread's own while it runs */
} g = { .level = LOG_INFO,
	.access = true,
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.dead = LIST_INIT(g.dead) };

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

/* Locked. When the writer may write without gathering: often, but not for long. */
static uint64_t log_next_ns(void)
{
	uint64_t burst_ns = LOG_BURST * g.gather_ns;

	return g.full_ns > burst_ns ? g.full_ns - burst_ns : 0;
}

/* Locked. */
static bool log_has_work(void)
{
	bool lines = g.front->n && (g.committed || !g.commits);

	return lines || g.urgent || g.stopping || g.reopen;
}

/* Locked. Until then, unless something does not wait. */
static void log_wait_until(uint64_t ns)
{
	struct timespec t = { (time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S) };

	if (ns <= clock_now_ns())
		return;
	while (!g.urgent && !g.stopping && !g.reopen)
		if (pthread_cond_timedwait(&g.work, &g.lock, &t) == ETIMEDOUT)
			break;
}

/* Locked. Waits until it may write again, and for lines: under load they are there by then, and
 * nobody has to wake us. */
static void log_wait_for_work(void)
{
	if (g.commits)
		log_wait_until(log_next_ns());
	g.idle = true;
	while (!log_has_work())
		pthread_cond_wait(&g.work, &g.lock);
	g.idle = false;
	if (!g.commits)
		log_wait_until(clock_now_ns() + g.gather_ns);
}

/* Locked. Frees the forms of values in halves up to `no`. */
static void log_bury(uint64_t no)
{
	list_for_each_safe (n, &g.dead) {
		struct log_form *f = container_of(n, struct log_form, link);

		if (f->no > no)
			continue;
		list_remove(n);
		log_form_free(f);
	}
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
		g.urgent = g.reopen = g.committed = false;
		stop = g.stopping;
		/* From here on lines go to stderr: what came before is in `full`. */
		if (stop)
			g.running = false;
		pthread_mutex_unlock(&g.lock);

		log_writer_write(&g.writer, full, reopen, atomic_load(&g.lost));
		log_half_clear(full);

		pthread_mutex_lock(&g.lock);
		g.back = full;
		g.written_no = no;
		g.full_ns = MAX(g.full_ns, clock_now_ns()) + g.gather_ns;
		log_bury(no);
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
	atomic_store(&g.json, c->json);
	atomic_store(&g.lost, 0);
	folders = log_writer_init(&g.writer, c);
	pthread_mutex_lock(&g.lock);
	g.front = log_half_create(LOG_HALF);
	g.back = log_half_create(LOG_HALF);
	g.stopping = g.urgent = g.reopen = g.commits = g.committed = g.idle = false;
	g.gather_ns = (c->gather_ms ? c->gather_ms : LOG_GATHER_MS) * NS_PER_MS;
	g.full_ns = 0;
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
	pthread_mutex_lock(&g.lock);
	g.front = log_half_destroy(g.front);
	g.back = log_half_destroy(g.back);
	log_bury(UINT64_MAX);
	pthread_mutex_unlock(&g.lock);
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

void log_commit(void)
{
	pthread_mutex_lock(&g.lock);
	g.commits = true;
	if (g.running && g.front->n && !g.committed) {
		g.committed = true;
		if (g.idle)
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

/* Locked. After lines have been put, or have not fitted. */
static void log_put_done(bool was_empty, bool urgent)
{
	bool wake = was_empty && !g.commits;

	urgent |= g.front->n > LOG_HALF / 2;
	wake |= urgent && !g.urgent;
	g.urgent |= urgent;
	if (wake)
		pthread_cond_signal(&g.work);
}

static void log_put(enum log_file file, const struct line *l)
{
	bool running, was_empty;

	pthread_mutex_lock(&g.lock);
	running = g.running;
	if (running) {
		was_empty = !g.front->n;
		if (!log_half_put(g.front, file, slice_make(l->p, l->n), l->tail))
			atomic_fetch_add(&g.lost, 1);
		log_put_done(was_empty, file == LOG_SERVER);
	}
	pthread_mutex_unlock(&g.lock);
	if (!running)
		log_to_stderr(l);
}

static void log_values_to_stderr(const struct log_values_head *h, const struct log_value *values,
				 const char *thread, struct slice ids)
{
	struct line l;

	for (unsigned i = 0; i < h->n; i++) {
		line_begin(&l, LOG_INFO, slice_make(thread, h->thread_n),
			   slice_str(values[i].form->logger), h->wall_ns);
		log_form_put(&l, values[i].form, values[i].value, ids, h->wall_ns);
		log_to_stderr(&l);
	}
}

void log_values(const char *thread, const struct log_value *values, unsigned n, struct slice ids)
{
	struct log_values_head h = { .wall_ns = clock_wall_ns(),
				     .ids_n = (uint32_t)MIN(ids.n, LOG_IDS_MAX),
				     .n = (uint16_t)n };
	bool running, was_empty;

	assert(n && n <= LOG_VALUES_MAX);
	thread = thread ? thread : "main";
	h.thread_n = (uint16_t)MIN(strlen(thread), LINE_NAME_MAX);
	pthread_mutex_lock(&g.lock);
	running = g.running;
	if (running) {
		was_empty = !g.front->n;
		if (!log_half_put_values(g.front, &h, values, thread, ids.p))
			atomic_fetch_add(&g.lost, n);
		log_put_done(was_empty, false);
	}
	pthread_mutex_unlock(&g.lock);
	if (!running)
		log_values_to_stderr(&h, values, thread, ids);
}

void log_value_once(enum log_file file, const char *logger, struct slice head, struct slice tail,
		    const char *thread, double value, struct slice ids)
{
	uint64_t wall_ns = clock_wall_ns();
	struct line l;

	line_begin(&l, LOG_INFO, slice_str(thread ? thread : "main"), slice_str(logger), wall_ns);
	log_form_put_once(&l, head, tail, value, ids, wall_ns);
	log_put(file, &l);
}

struct log_form *log_form_destroy(struct log_form *f)
{
	if (!f)
		return NULL;
	pthread_mutex_lock(&g.lock);
	f->no = g.front_no;
	list_push_back(&g.dead, &f->link);
	if (!g.front)
		log_bury(UINT64_MAX); /* there is no writer */
	pthread_mutex_unlock(&g.lock);
	return NULL;
}

static bool log_wanted(enum log_file file, enum log_level level)
{
	assert((unsigned)file < LOG_FILES);
	return (file != LOG_SERVER && file != LOG_MODEL) || log_enabled(level);
}

/* All but the marks is escaped. */
static void log_put_marked(struct line *l, struct slice text)
{
	while (text.n) {
		size_t n = 0;

		while (n < text.n && text.p[n] != LINE_BREAK && text.p[n] != LINE_ID)
			n++;
		line_put_escaped(l, slice_make(text.p, n), LINE_LONG_MAX, false);
		if (n < text.n)
			line_put(l, slice_make(text.p + n++, 1));
		text = slice_make(text.p + n, text.n - n);
	}
}

/* What only a record has, see json_line.h. */
static void log_put_subject(struct line *l, const struct log_subject *about)
{
	const char *const ids[] = { about->request_id, about->trace, about->span };

	for (size_t i = 0; i < (*about->trace ? ARRAY_LEN(ids) : 1); i++) {
		line_put(l, slice_make(&(char){ LINE_ID }, 1));
		line_put_escaped(l, slice_str(ids[i]), LINE_NAME_MAX, false);
	}
}

static void log_write(enum log_file file, enum log_level level, const char *thread,
		      const char *logger, struct slice text, bool marked,
		      const struct log_subject *about)
{
	struct line l;

	line_begin_long(&l, file == LOG_MODEL ? text.n : 0, level,
			slice_str(thread ? thread : "main"), slice_str(logger), clock_wall_ns());
	if (marked)
		log_put_marked(&l, text);
	else
		line_put_escaped(&l, text, LINE_LONG_MAX, false);
	if (about)
		log_put_subject(&l, about);
	line_end(&l);
	log_put(file, &l);
	line_finish(&l);
}

void log_text(enum log_file file, enum log_level level, const char *thread, const char *logger,
	      struct slice text)
{
	if (log_wanted(file, level))
		log_write(file, level, thread, logger, text, false, NULL);
}

void log_output(enum log_level level, const char *thread, const char *logger, struct slice text)
{
	if (log_wanted(LOG_MODEL, level))
		log_write(LOG_MODEL, level, thread, logger, text,
			  atomic_load_explicit(&g.json, memory_order_relaxed), NULL);
}

static void log_as_record(enum log_level level, const char *thread, const char *logger,
			  struct slice text)
{
	_cleanup_(freep) char *copy = slice_dup(text);

	for (size_t i = 0; i < text.n; i++)
		if (copy[i] == LINE_ID || copy[i] == '\n')
			copy[i] = copy[i] == '\n' ? LINE_BREAK : '?';
	while (text.n && copy[text.n - 1] == LINE_BREAK)
		text.n--;
	log_write(LOG_MODEL, level, thread, logger, slice_make(copy, text.n), true, NULL);
}

void log_lines(enum log_level level, const char *thread, const char *logger, struct slice text)
{
	if (!log_wanted(LOG_MODEL, level))
		return;
	if (atomic_load_explicit(&g.json, memory_order_relaxed)) {
		log_as_record(level, thread, logger, text);
		return;
	}
	while (text.n)
		log_text(LOG_MODEL, level, thread, logger, slice_cut(&text, '\n'));
}

void log_about(enum log_file file, enum log_level level, const char *thread, const char *logger,
	       const struct log_subject *about, const char *fmt, ...)
{
	bool json = atomic_load_explicit(&g.json, memory_order_relaxed);
	char text[LINE_TEXT_MAX];
	va_list args;
	int n;

	if (!log_wanted(file, level))
		return;
	va_start(args, fmt);
	n = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (n > 0)
		log_write(file, level, thread, logger,
			  slice_make(text, MIN((size_t)n, sizeof(text) - 1)), false,
			  json ? about : NULL);
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
		int status, uint64_t duration_ms, const struct log_subject *about)
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
	if (atomic_load_explicit(&g.json, memory_order_relaxed)) {
		log_put_subject(&l, about);
	} else if (atomic_load_explicit(&g.request_ids, memory_order_relaxed)) {
		line_put(&l, SLICE(" "));
		line_put(&l, slice_str(about->request_id));
		if (*about->trace) {
			line_put(&l, SLICE(" "));
			line_put(&l, slice_str(about->trace));
		}
	}
	line_end(&l);
	log_put(LOG_ACCESS, &l);
}
