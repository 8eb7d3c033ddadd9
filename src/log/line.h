/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One line of a log while it is being made: bounded, without printf, and without allocation unless
 * it is a long one. What comes from outside is escaped, so nobody can forge a second line or move a
 * terminal's cursor.
 *
 * Two layouts share the bytes, as TorchServe's files have them: the full one (console, server and
 * model log) and the short one (access log and metrics), which is the date and the text.
 *
 *     2026-11-24T12:00:00,123 [INFO ] main sconce.fleet - text
 *     2026-11-24T12:00:00,123 - text
 */

#include "base/slice.h"
#include "log/log.h"

/* In lines that become JSON: a line break in the message, and what its requests' ids are behind.
 * They come in no other way, for control bytes are escaped. */
#define LINE_BREAK '\x1e'
#define LINE_ID '\x1f'

#define LINE_TEXT_MAX ((size_t)16384)   /* bytes of text after escaping */
#define LINE_LONG_MAX ((size_t)1 << 20) /* of text that handlers print */
#define LINE_NAME_MAX ((size_t)256)     /* thread and logger */
#define LINE_DATE_LEN ((size_t)23)
#define LINE_HEAD (2 * LINE_NAME_MAX + 512)
#define LINE_ROOM (LINE_TEXT_MAX + LINE_HEAD)

struct line {
	size_t n;
	size_t tail; /* where " - text" starts */
	size_t end;  /* the text may reach to here */
	bool cut;    /* did not fit; nothing more is added */
	char *p;     /* own, or allocated for a long line */
	char own[LINE_ROOM];
};

/* Date (local time), level, thread, logger and the dash. Any thread. Nothing to free. */
void line_begin(struct line *l, enum log_level level, struct slice thread, struct slice logger,
		uint64_t wall_ns);
/* The same for a text of `text` bytes, of which up to 1 MiB are kept. line_finish() it. */
void line_begin_long(struct line *l, size_t text, enum log_level level, struct slice thread,
		     struct slice logger, uint64_t wall_ns);
void line_finish(struct line *l);
/* As much of it as fits, and the mark. */
void line_put_cut(struct line *l, struct slice s);
/* Text of our own: no control bytes in it. */
static inline void line_put(struct line *l, struct slice s)
{
	if (l->cut || s.n > l->end - l->n) {
		line_put_cut(l, s);
	} else if (s.n) {
		memcpy(l->p + l->n, s.p, s.n);
		l->n += s.n;
	}
}
void line_put_u64(struct line *l, uint64_t v);
/* Text of others: control bytes except tab become \n, \r or \xNN, bytes that are not UTF-8 U+FFFD;
 * at most `max` bytes are added.
 * `quoted` also escapes " and \, for text that stands between quotation marks. */
void line_put_escaped(struct line *l, struct slice s, size_t max, bool quoted);
/* The newline; marks a text that was cut with "...". */
void line_end(struct line *l);

static inline struct slice line_date(const struct line *l)
{
	return slice_make(l->p, LINE_DATE_LEN);
}

static inline struct slice line_tail(const struct line *l)
{
	return slice_make(l->p + l->tail, l->n - l->tail);
}
