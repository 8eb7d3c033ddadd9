/* SPDX-License-Identifier: Apache-2.0 */
#include "log/writer.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/util.h"

#define LOG_PIECE ((size_t)128 << 10) /* of lines, written at a time; then a record more */
/* What one item may become: lines of values, or a long one. */
#define LOG_ITEM_MAX                                                                               \
	MAX(LOG_VALUES_MAX *(LINE_ROOM + LOG_HALF_SLACK),                                          \
	    LINE_HEAD + LINE_LONG_MAX + LOG_HALF_SLACK)
#define LOG_REPORT_NS NS_PER_S /* lost lines are reported at most this often */

/* Lines that are written together. */
struct log_piece {
	const struct log_half *lines;
	size_t from, to;
};

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
	w->lines = log_half_create(LOG_PIECE + LOG_ITEM_MAX);
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
	w->lines = log_half_destroy(w->lines);
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

/* All lines of a piece to their files, or all to the console: a stalled console must not delay a
 * file. */
static void log_writer_pass(struct log_writer *w, const struct log_piece *p, bool console)
{
	struct log_item i;

	for (size_t at = p->from; at < p->to && log_half_next(p->lines, &at, &i);)
		if (console)
			log_writer_put_console(w, i.file, i.line, i.tail);
		else
			log_writer_put_file(w, i.file, i.line, i.tail);
}

static void log_writer_add(struct log_writer *w, enum log_file file, struct slice line, size_t tail)
{
	bool fits = log_half_put(w->lines, file, line, tail);

	assert(fits); /* LOG_ITEM_MAX is left when one begins */
	(void)fits;
}

static void log_writer_add_values(struct log_writer *w, const struct log_item *i)
{
	enum log_file file = LOG_FILES;
	struct log_value v;
	struct line *l = &w->line;
	size_t text = 0;

	for (unsigned k = 0; k < i->head.n; k++) {
		memcpy(&v, i->values + k * sizeof(v), sizeof(v));
		if (v.form->file != file) {
			file = v.form->file;
			line_begin(l, LOG_INFO, i->thread, slice_str(v.form->logger),
				   i->head.wall_ns);
			text = l->n;
		}
		l->n = text;
		l->cut = false;
		log_form_put(l, v.form, v.value, i->ids, i->head.wall_ns);
		log_writer_add(w, file, slice_make(l->p, l->n), l->tail);
	}
}

/* Makes lines of a piece of the half; how far that went. */
static size_t log_writer_expand(struct log_writer *w, const struct log_half *h, size_t at)
{
	struct log_item i;

	log_half_clear(w->lines);
	while (w->lines->n < LOG_PIECE && log_half_next(h, &at, &i)) {
		if (!i.line.p) {
			log_writer_add_values(w, &i);
			continue;
		}
		log_writer_add(w, i.file, i.line, i.tail);
	}
	return at;
}

/* The next piece of the half; how far that goes. Lines stay where they are when there is nothing
 * else. */
static size_t log_writer_piece(struct log_writer *w, const struct log_half *h, size_t at,
			       struct log_piece *ret)
{
	struct log_item i;
	size_t from = at;

	if (h->values) {
		at = log_writer_expand(w, h, at);
		*ret = (struct log_piece){ w->lines, 0, w->lines->n };
		return at;
	}
	while (at - from < LOG_PIECE && log_half_next(h, &at, &i))
		;
	*ret = (struct log_piece){ h, from, at };
	return at;
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
	struct log_piece piece;
	size_t at = 0;

	for (unsigned i = 0; reopen && i < LOG_FILES; i++)
		if (w->has_file[i])
			outlet_reopen(&w->files[i]);
	do {
		at = log_writer_piece(w, h, at, &piece);
		log_writer_pass(w, &piece, false);
		log_writer_flush(w);
		if (at == h->n)
			log_writer_report(w, unfit);
		if (w->has_console)
			log_writer_pass(w, &piece, true);
		log_writer_flush(w);
		log_writer_check_console(w);
	} while (at < h->n);
}

uint64_t log_writer_lost(const struct log_writer *w)
{
	return atomic_load(&w->lost);
}
