/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/meter.h"

#include <stdio.h>
#include <stdlib.h>

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

static struct buf *meter_scratch(void)
{
	static struct buf scratch = BUF_INIT(METER_LINE_MAX);

	buf_clear(&scratch);
	return &scratch;
}

static void meter_put_head(struct buf *b, const struct catalogue_metric *m)
{
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

static void meter_log(struct buf *b, enum log_file file, const char *thread, struct slice ids)
{
	if (ids.n) {
		buf_append(b, ",requestID:", 11);
		buf_put_slice(b, ids);
	}
	buf_append(b, ",timestamp:", 11);
	buf_put_u64(b, clock_wall_ns() / NS_PER_S);
	log_text(file, LOG_INFO, thread, file == LOG_MODEL_METRICS ? "MODEL_METRICS" : "TS_METRICS",
		 buf_slice(b));
}

void meter_init(struct meter *m, const struct meter_family *f, const struct slice *values)
{
	struct buf b = BUF_INIT(METER_LINE_MAX);

	*m = (struct meter){ .file = f->file };
	if (!f->named)
		return;
	m->type = f->named->type;
	if (f->published) {
		m->metric = metric_get(f->published, values);
		return;
	}
	meter_put_head(&b, f->named);
	m->head = buf_steal(&b);
	meter_put_tail(&b, f->named, values);
	m->tail = buf_steal(&b);
}

void meter_finish(struct meter *m)
{
	free(TAKE(m->head));
	free(TAKE(m->tail));
}

void meter_write(const struct meter *m, const char *thread, double v, struct slice ids)
{
	struct buf *b = meter_scratch();

	if (!m->head)
		return;
	buf_puts(b, m->head);
	metric_write_double(b, v);
	buf_puts(b, m->tail);
	meter_log(b, m->file, thread, ids);
}

void meter_family_update(const struct meter_family *f, const struct slice *values,
			 const char *thread, double v, struct slice ids)
{
	struct buf *b = meter_scratch();

	if (!f->named)
		return;
	if (f->published) {
		meter_publish(metric_get(f->published, values), f->named->type, v);
		return;
	}
	meter_put_head(b, f->named);
	metric_write_double(b, v);
	meter_put_tail(b, f->named, values);
	meter_log(b, f->file, thread, ids);
}
