/* SPDX-License-Identifier: Apache-2.0 */
#include "log/form_internal.h"

#include <string.h>

#include "base/clock.h"
#include "base/decimal.h"
#include "base/mem.h"
#include "base/util.h"

/* Escaped once, so that the writer need not look at each byte of each line. */
static void form_escape(struct line *l, struct slice s)
{
	l->p = l->own;
	l->n = 0;
	l->cut = false;
	l->end = LINE_TEXT_MAX;
	line_put_escaped(l, s, LINE_TEXT_MAX, false);
}

struct log_form *log_form_create(enum log_file file, const char *logger, struct slice head,
				 struct slice tail)
{
	struct line h, t;
	struct log_form *f;
	char *text;

	form_escape(&h, head);
	form_escape(&t, tail);
	f = mem_alloc(sizeof(*f) + h.n + t.n);
	text = (char *)(f + 1);
	memcpy(text, h.p, h.n);
	memcpy(text + h.n, t.p, t.n);
	*f = (struct log_form){ .file = file,
				.logger = logger,
				.head = slice_make(text, h.n),
				.tail = slice_make(text + h.n, t.n) };
	list_init(&f->link);
	return f;
}

void log_form_free(struct log_form *f)
{
	free(f);
}

static void form_put_number(struct line *l, double value)
{
	char number[DECIMAL_MAX];

	line_put(l, slice_make(number, decimal_write(number, value)));
}

static void form_put_end(struct line *l, struct slice ids, uint64_t wall_ns)
{
	if (ids.n) {
		line_put(l, SLICE(",requestID:"));
		line_put_escaped(l, ids, LOG_IDS_MAX, false);
	}
	line_put(l, SLICE(",timestamp:"));
	line_put_u64(l, wall_ns / NS_PER_S);
	line_end(l);
}

void log_form_put(struct line *l, const struct log_form *f, double value, struct slice ids,
		  uint64_t wall_ns)
{
	line_put(l, f->head);
	form_put_number(l, value);
	line_put(l, f->tail);
	form_put_end(l, ids, wall_ns);
}

void log_form_put_once(struct line *l, struct slice head, struct slice tail, double value,
		       struct slice ids, uint64_t wall_ns)
{
	line_put_escaped(l, head, LINE_TEXT_MAX, false);
	form_put_number(l, value);
	line_put_escaped(l, tail, LINE_TEXT_MAX, false);
	form_put_end(l, ids, wall_ns);
}
