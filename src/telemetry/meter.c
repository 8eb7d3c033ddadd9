/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/meter.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/util.h"

#define METER_LINE_MAX ((size_t)65536)

void meter_family_init(struct meter_family *f, const struct catalogue_metric *m,
		       struct metrics *metrics, enum log_file file)
{
	char help[320];

	*f = (struct meter_family){ .named = m, .file = file };
	if (!m || !metrics)
		return;
	snprintf(help, sizeof(help), "Torchserve prometheus %s metric with unit: %s",
		 catalogue_type_name(m->type), m->unit);
	f->published = metrics_family(metrics, m->name, m->type, help, m->dimensions,
				      m->n_dimensions);
	if (f->published)
		return;
	log_warn("Metric %s cannot be published: names have letters, digits and _ only, and must "
		 "not be used with another type or other dimensions",
		 m->name);
	f->named = NULL;
}

/* The two parts of a line around its value, see log/form.h. */
struct meter_text {
	struct buf head, tail;
};

static void meter_put_head(struct buf *b, const struct catalogue_metric *m)
{
	buf_clear(b);
	buf_puts(b, m->name);
	buf_putc(b, '.');
	buf_puts(b, m->unit);
	buf_putc(b, ':');
}

/* `|#Dim:val,Dim:val|#hostname:h`: the last label is the host's name. */
static void meter_put_tail(struct buf *b, const struct catalogue_metric *m,
			   const struct slice *values)
{
	unsigned last = m->n_dimensions - 1;

	buf_clear(b);
	buf_append(b, "|#", 2);
	for (unsigned i = 0; i < last; i++) {
		buf_puts(b, i ? "," : "");
		buf_puts(b, m->dimensions[i]);
		buf_putc(b, ':');
		buf_put_slice(b, values[i]);
	}
	buf_append(b, "|#hostname:", 11);
	buf_put_slice(b, values[last]);
}

static const char *meter_logger(enum log_file file)
{
	return file == LOG_MODEL_METRICS ? "MODEL_METRICS" : "TS_METRICS";
}

/* Kept, so that an update of a series without a meter allocates nothing. */
static const struct meter_text *meter_text(const struct catalogue_metric *m,
					   const struct slice *values)
{
	static struct meter_text text = { BUF_INIT(METER_LINE_MAX), BUF_INIT(METER_LINE_MAX) };

	meter_put_head(&text.head, m);
	meter_put_tail(&text.tail, m, values);
	return &text;
}

static struct log_form *meter_form(const struct meter_family *f, const struct slice *values)
{
	const struct meter_text *t = meter_text(f->named, values);

	return log_form_create(f->file, meter_logger(f->file), buf_slice(&t->head),
			       buf_slice(&t->tail));
}

void meter_init(struct meter *m, const struct meter_family *f, const struct slice *values)
{
	*m = (struct meter){ 0 };
	if (!f->named)
		return;
	m->type = f->named->type;
	if (f->published)
		m->metric = metric_prepare(f->published, values);
	else
		m->form = meter_form(f, values);
}

void meter_show(const struct meter *m)
{
	if (m->metric)
		m->metric->silent = false;
}

void meter_family_drop(const struct meter_family *f, const struct slice *values)
{
	if (f->published)
		metric_drop(f->published, values);
}

void meter_finish(struct meter *m)
{
	m->form = log_form_destroy(m->form);
}

void meter_update_all(const struct meter_change *c, unsigned n, const char *thread,
		      struct slice ids)
{
	struct log_value logged[METER_CHANGES];
	unsigned k = 0;

	assert(n <= METER_CHANGES);
	for (unsigned i = 0; i < n; i++) {
		const struct meter *m = c[i].meter;

		if (m->metric)
			meter_publish(m->metric, m->type, c[i].value);
		else if (m->form)
			logged[k++] = (struct log_value){ m->form, c[i].value };
	}
	if (k)
		log_values(thread, logged, k, ids);
}

void meter_family_update(const struct meter_family *f, const struct slice *values,
			 const char *thread, double v, struct slice ids)
{
	const struct meter_text *t;

	if (!f->named)
		return;
	if (f->published) {
		meter_publish(metric_get(f->published, values), f->named->type, v);
		return;
	}
	t = meter_text(f->named, values);
	log_value_once(f->file, meter_logger(f->file), buf_slice(&t->head), buf_slice(&t->tail),
		       thread, v, ids);
}
