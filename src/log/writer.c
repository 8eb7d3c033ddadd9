/* SPDX-License-Identifier: Apache-2.0 */
#include "log/writer.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/util.h"

#define LOG_REPORT_NS NS_PER_S /* lost lines are reported at most this often */

/* What stands before each line in a half. */
struct log_record {
	uint32_t n;
	uint16_t tail;
	uint16_t file;
};

static_assert(LINE_HEAD <= UINT16_MAX, "a tail fits its field");
static_assert(LINE_HEAD + LINE_LONG_MAX <= UINT32_MAX, "and a line its own");

static const struct {
	const char *name;
	bool metrics; /* lives in the folder of metrics */
	bool brief;   /* date and text only */
} log_files[LOG_FILES] = {
	[LOG_SERVER] = { "ts_log.log" },
	[LOG_ACCESS] = { "access_log.log", .brief = true },
	[LOG_MODEL] = { "model_log.log" },
	[LOG_SERVER_METRICS] = { "ts_metrics.log", .metrics = true, .brief = true },
	[LOG_MODEL_METRICS] = { "model_metrics.log", .metrics = true, .brief = true },
};

struct log_half *log_half_create(size_t room)
{
	struct log_half *h = mem_alloc(sizeof(*h) + room);

	h->n = 0;
	h->room = room;
	return h;
}

struct log_half *log_half_destroy(struct log_half *h)
{
	free(h);
	return NULL;
}

bool log_half_put(struct log_half *h, enum log_file file, const struct line *l)
{
	struct log_record r = { (uint32_t)l->n, (uint16_t)l->tail, (uint16_t)file };

	if (l->n + sizeof(r) > h->room - h->n)
		return false;
	memcpy(h->p + h->n, &r, sizeof(r));
	memcpy(h->p + h->n + sizeof(r), l->p, l->n);
	h->n += sizeof(r) + l->n;
	return true;
}

static int log_make_folder(const char *path)
{
	int r = file_make_dirs(path, 0755);

	if (r < 0)
		return r;
	return access(path, W_OK | X_OK) < 0 ? -errno : 0;
}

/* A console that has gone is switched off; what it missed is remembered. */
static void log_writer_check_console(struct log_writer *w)
{
	if (!w->has_console || w->console.fd >= 0)
		return;
	w->lost_before += w->console.lost;
	outlet_finish(&w->console);
	w->has_console = false;
}

int log_writer_init(struct log_writer *w, const struct log_config *c)
{
	const char *metrics = c->metrics_location ? c->metrics_location : c->location;
	int lines = c->location ? log_make_folder(c->location) : 0;
	int numbers = metrics ? log_make_folder(metrics) : 0;

	*w = (struct log_writer){ .has_console = c->console || lines || numbers,
				  .lines_error = lines,
				  .numbers_error = numbers,
				  .as_json = c->json };
	for (unsigned i = 0; i < LOG_FILES; i++) {
		const char *folder = log_files[i].metrics ? metrics : c->location;

		if (!folder || (log_files[i].metrics ? numbers : lines))
			continue;
		outlet_init_file(&w->files[i], mem_printf("%s/%s", folder, log_files[i].name),
				 c->rotate_bytes, c->rotate_keep);
		/* There from the start, for those who follow them. */
		outlet_open(&w->files[i]);
		w->has_file[i] = true;
	}
	if (w->has_console)
		outlet_init_console(&w->console, STDOUT_FILENO);
	log_writer_check_console(w);
	return lines ? lines : numbers;
}

void log_writer_finish(struct log_writer *w)
{
	json_line_finish(&w->json);
	for (unsigned i = 0; i < LOG_FILES; i++)
		if (w->has_file[i])
			outlet_finish(&w->files[i]);
	if (w->has_console)
		outlet_finish(&w->console);
	w->has_console = false;
	memset(w->has_file, 0, sizeof(w->has_file));
}

static struct slice log_writer_json(struct log_writer *w, unsigned file, struct slice l,
				    size_t tail)
{
	json_line_make(&w->json, (enum log_file)file, l, tail);
	return slice_make(w->json.p, w->json.n);
}

static void log_writer_put_file(struct log_writer *w, unsigned file, struct slice l, size_t tail)
{
	struct slice date = slice_make(l.p, LINE_DATE_LEN);

	if (!w->has_file[file])
		return;
	if (w->as_json)
		outlet_put(&w->files[file], log_writer_json(w, file, l, tail), SLICE_NULL);
	else if (log_files[file].brief)
		outlet_put(&w->files[file], date, slice_make(l.p + tail, l.n - tail));
	else
		outlet_put(&w->files[file], l, SLICE_NULL);
}

static void log_writer_put_console(struct log_writer *w, unsigned file, struct slice l, size_t tail)
{
	outlet_put(&w->console, w->as_json ? log_writer_json(w, file, l, tail) : l, SLICE_NULL);
}

/* All lines to their files, or all to the console: a stalled console must not delay a file. */
static void log_writer_pass(struct log_writer *w, const struct log_half *h, bool console)
{
	struct log_record r;

	for (size_t at = 0; at < h->n; at += sizeof(r) + r.n) {
		struct slice l;

		memcpy(&r, h->p + at, sizeof(r));
		l = slice_make(h->p + at + sizeof(r), r.n);
		if (console)
			log_writer_put_console(w, r.file, l, r.tail);
		else
			log_writer_put_file(w, r.file, l, r.tail);
	}
}

static void log_writer_flush(struct log_writer *w)
{
	uint64_t lost = w->lost_before;

	for (unsigned i = 0; i < LOG_FILES; i++) {
		if (!w->has_file[i])
			continue;
		outlet_flush(&w->files[i]);
		lost += w->files[i].lost;
	}
	if (w->has_console) {
		outlet_flush(&w->console);
		lost += w->console.lost;
	}
	atomic_store(&w->lost, lost);
}

static int log_writer_error(const struct log_writer *w)
{
	for (unsigned i = 0; i < LOG_FILES; i++)
		if (w->has_file[i] && w->files[i].lost)
			return w->files[i].error;
	return w->console.lost ? w->console.error : -ENOBUFS;
}

static void log_writer_report(struct log_writer *w, uint64_t unfit)
{
	uint64_t lost = unfit + atomic_load(&w->lost), now = clock_now_ns();
	int error = log_writer_error(w);
	struct line l;

	if (lost == w->reported || (w->reported && now - w->reported_ns < LOG_REPORT_NS))
		return;
	line_begin(&l, LOG_WARN, SLICE("main"), SLICE("sconce.log"), clock_wall_ns());
	line_put_u64(&l, lost - w->reported);
	line_put(&l, SLICE(" log lines were lost ("));
	line_put(&l, error == -ENOBUFS ? SLICE("more than could be written")
				       : slice_str(strerror(-error)));
	line_put(&l, SLICE(")"));
	line_end(&l);
	w->reported = lost;
	w->reported_ns = now;
	log_writer_put_file(w, LOG_SERVER, slice_make(l.p, l.n), l.tail);
	if (w->has_console)
		log_writer_put_console(w, LOG_SERVER, slice_make(l.p, l.n), l.tail);
}

void log_writer_write(struct log_writer *w, const struct log_half *h, bool reopen, uint64_t unfit)
{
	for (unsigned i = 0; reopen && i < LOG_FILES; i++)
		if (w->has_file[i])
			outlet_reopen(&w->files[i]);
	log_writer_pass(w, h, false);
	log_writer_flush(w);
	log_writer_report(w, unfit);
	if (w->has_console)
		log_writer_pass(w, h, true);
	log_writer_flush(w);
	log_writer_check_console(w);
}

uint64_t log_writer_lost(const struct log_writer *w)
{
	return atomic_load(&w->lost);
}
