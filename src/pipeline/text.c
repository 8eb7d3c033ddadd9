/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/text.h"

#include <string.h>

#include "base/utf8.h"
#include "base/util.h"
#include "base/half.h"
#include "pipeline/number.h"
#include "pipeline/tensor.h"

#define INDENT_MAX 64

struct writing {
	struct buf *out;
	const struct text_form *form;
	int depth;
};

/* Between members, and on both sides of all of them. */
static void put_break(struct writing *w)
{
	static const char blanks[INDENT_MAX + 1] =
		"                                                                ";
	int n = w->depth * w->form->indent;

	if (w->form->indent < 0)
		return;
	buf_putc(w->out, '\n');
	for (; n > 0; n -= INDENT_MAX)
		buf_append(w->out, blanks, (size_t)MIN(n, INDENT_MAX));
}

static void put_open(struct writing *w, char c)
{
	buf_putc(w->out, c);
	w->depth++;
	put_break(w);
}

static void put_next(struct writing *w)
{
	buf_puts(w->out, w->form->indent < 0 ? ", " : ",");
	put_break(w);
}

static void put_close(struct writing *w, char c)
{
	w->depth--;
	put_break(w);
	buf_putc(w->out, c);
}

void text_put_string(struct buf *out, struct slice s)
{
	static const char short_ones[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";

	buf_putc(out, '"');
	while (s.n) {
		const char *is_short = *s.p ? strchr(short_ones, *s.p) : NULL;
		uint32_t c = 0;
		size_t n = utf8_char(s, &c);

		if (!n) {
			c = 0xfffd;
			n = 1;
		}
		if (is_short)
			buf_printf(out, "\\%c", letters[is_short - short_ones]);
		else if (c >= ' ' && c <= '~')
			buf_putc(out, (char)c);
		else if (c > 0xffff)
			buf_printf(out, "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10),
				   0xdc00 + ((c - 0x10000) & 0x3ff));
		else
			buf_printf(out, "\\u%04x", c);
		s = slice_make(s.p + n, s.n - n);
	}
	buf_putc(out, '"');
}

static void put_real(struct writing *w, float v)
{
	if (w->form->doubles)
		number_put_double(w->out, (double)v);
	else
		number_put_float(w->out, v);
}

static void put_element(struct writing *w, const struct sconce_tensor *t, const char *at)
{
	union {
		uint64_t u64;
		int64_t i64;
		double f64;
		float f32;
		uint16_t u16;
		uint8_t u8;
	} v = { 0 };

	memcpy(&v, at, sconce_dtype_size(t->dtype));
	switch (t->dtype) {
	case SCONCE_BOOL:
		buf_puts(w->out, v.u8 ? "true" : "false");
		break;
	case SCONCE_UINT8:
	case SCONCE_UINT16:
	case SCONCE_UINT32:
	case SCONCE_UINT64:
		buf_put_u64(w->out, v.u64);
		break;
	case SCONCE_INT64:
		buf_printf(w->out, "%lld", (long long)v.i64);
		break;
	case SCONCE_FP32:
		put_real(w, v.f32);
		break;
	case SCONCE_FP64:
		number_put_double(w->out, v.f64);
		break;
	case SCONCE_FP16:
		put_real(w, half_to_float(v.u16));
		break;
	case SCONCE_BF16:
		put_real(w, bfloat_to_float(v.u16));
		break;
	default:
		buf_printf(w->out, "%lld",
			   (long long)value_number(
				   &(struct sconce_tensor){ .data = (void *)(uintptr_t)at,
							    .dtype = t->dtype },
				   0));
		break;
	}
}

static void put_lists(struct writing *w, const struct sconce_tensor *t, uint32_t axis,
		      const char **at)
{
	if (axis == t->ndim) {
		put_element(w, t, *at);
		*at += sconce_dtype_size(t->dtype);
		return;
	}
	if (!t->shape[axis]) {
		buf_puts(w->out, "[]");
		return;
	}
	put_open(w, '[');
	for (int64_t i = 0; i < t->shape[axis] && !buf_overflowed(w->out); i++) {
		if (i)
			put_next(w);
		put_lists(w, t, axis + 1, at);
	}
	put_close(w, ']');
}

/* ---- findings ---- */

static void put_key(struct writing *w, const char *key)
{
	text_put_string(w->out, slice_str(key));
	buf_puts(w->out, ": ");
}

static void put_name(struct writing *w, const struct value *v, const struct found *f)
{
	if (v->has_names)
		text_put_string(w->out, f->name);
	else
		buf_printf(w->out, "\"%lld\"", (long long)f->class);
}

static void put_box(struct writing *w, const struct found *f)
{
	put_open(w, '[');
	for (unsigned i = 0; i < 4; i++) {
		if (i)
			put_next(w);
		put_real(w, f->box[i]);
	}
	put_close(w, ']');
}

static bool same_name(const struct found *a, const struct found *b)
{
	return a->class == b->class || (a->shared && b->shared && slice_eq(a->name, b->name));
}

/* As a dict of Python: a key that comes again has its first place and its last value. */
static void put_scores(struct writing *w, const struct value *v)
{
	bool first = true;

	if (!v->n_found) {
		buf_puts(w->out, "{}");
		return;
	}
	put_open(w, '{');
	for (size_t i = 0; i < v->n_found && !buf_overflowed(w->out); i++) {
		const struct found *f = &v->found[i];
		float score = f->score;
		bool again = false;

		for (size_t k = 0; f->shared && k < i && !again; k++)
			again = same_name(f, &v->found[k]);
		if (again)
			continue;
		for (size_t k = i + 1; f->shared && k < v->n_found; k++)
			if (same_name(f, &v->found[k]))
				score = v->found[k].score;
		if (!first)
			put_next(w);
		first = false;
		put_name(w, v, f);
		buf_puts(w->out, ": ");
		put_real(w, score);
	}
	put_close(w, '}');
}

/* {name: box, "score": score}; a class that has that name is not shown. */
static void put_object(struct writing *w, const struct value *v, const struct found *f)
{
	put_open(w, '{');
	if (!v->has_names || !slice_eq(f->name, SLICE("score"))) {
		put_name(w, v, f);
		buf_puts(w->out, ": ");
		put_box(w, f);
		put_next(w);
	}
	put_key(w, "score");
	put_real(w, f->score);
	put_close(w, '}');
}

static void put_record(struct writing *w, const struct value *v, const struct found *f)
{
	put_open(w, '{');
	put_key(w, "class");
	buf_printf(w->out, "%lld", (long long)f->class);
	if (v->has_names) {
		put_next(w);
		put_key(w, "label");
		text_put_string(w->out, f->name);
	}
	put_next(w);
	put_key(w, "score");
	put_real(w, f->score);
	if (v->has_boxes) {
		put_next(w);
		put_key(w, "box");
		put_box(w, f);
	}
	put_close(w, '}');
}

static void put_found(struct writing *w, const struct value *v)
{
	if (!v->has_boxes && !w->form->records) {
		put_scores(w, v);
		return;
	}
	if (!v->n_found) {
		buf_puts(w->out, "[]");
		return;
	}
	put_open(w, '[');
	for (size_t i = 0; i < v->n_found && !buf_overflowed(w->out); i++) {
		if (i)
			put_next(w);
		if (w->form->records)
			put_record(w, v, &v->found[i]);
		else
			put_object(w, v, &v->found[i]);
	}
	put_close(w, ']');
}

void text_put(struct buf *out, const struct value *v, const struct text_form *form)
{
	struct writing w = { .out = out, .form = form };
	const char *at = v->tensor.data;

	if (v->kind == KIND_FOUND)
		put_found(&w, v);
	else
		put_lists(&w, &v->tensor, 0, &at);
}
