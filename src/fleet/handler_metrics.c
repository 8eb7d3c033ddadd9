/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/handler_metrics.h"

#include <stdio.h>
#include <string.h>
#include <yyjson.h>

#include "base/clock.h"
#include "base/util.h"
#include "fleet/fleet.h"
#include "log/log.h"
#include "wire/json.h"

struct handler_metric {
	const char *name, *unit, *type, *request_ids;
	double value;
	const char *keys[METRIC_LABELS_MAX];
	struct slice values[METRIC_LABELS_MAX];
	unsigned n;
};

static const char *handler_metric_text(yyjson_val *v, const char *key)
{
	const char *s = yyjson_get_str(yyjson_obj_get(v, key));

	return s ? s : "";
}

static bool handler_metric_read(yyjson_val *v, struct handler_metric *m)
{
	yyjson_val *dimensions = yyjson_obj_get(v, "dimensions"), *d;
	size_t i, n;

	*m = (struct handler_metric){ .name = handler_metric_text(v, "name"),
				      .unit = handler_metric_text(v, "unit"),
				      .type = handler_metric_text(v, "type"),
				      .request_ids = handler_metric_text(v, "request_ids") };
	if (!*m->name || !yyjson_is_num(yyjson_obj_get(v, "value")))
		return false;
	m->value = yyjson_get_num(yyjson_obj_get(v, "value"));
	yyjson_arr_foreach(dimensions, i, n, d)
	{
		const char *key = yyjson_get_str(yyjson_arr_get(d, 0));
		const char *value = yyjson_get_str(yyjson_arr_get(d, 1));

		if (!key || !value || m->n + 1 >= METRIC_LABELS_MAX)
			return false;
		m->keys[m->n] = key;
		m->values[m->n++] = slice_str(value);
	}
	return true;
}

static void handler_metric_publish(struct fleet *f, struct handler_metric *m)
{
	bool counter = strcmp(m->type, "counter") == 0,
	     histogram = strcmp(m->type, "histogram") == 0;
	enum metric_type type = counter     ? METRIC_COUNTER
				: histogram ? METRIC_HISTOGRAM
					    : METRIC_GAUGE;
	struct metric_family *family;
	struct metric *series;
	char help[160];

	m->keys[m->n] = "Hostname";
	m->values[m->n] = slice_str(f->telemetry.hostname);
	snprintf(help, sizeof(help), "Torchserve prometheus %s metric with unit: %s",
		 counter     ? "counter"
		 : histogram ? "histogram"
			     : "gauge",
		 m->unit);
	family = metrics_family(f->metrics, m->name, type, help, m->keys, m->n + 1);
	if (!family)
		return;
	series = metric_get(family, m->values);
	if (histogram)
		metric_observe(series, m->value);
	else if (counter)
		metric_add(series, m->value >= 0 ? m->value : 0);
	else
		metric_set(series, m->value);
}

static void handler_metric_log(struct fleet *f, const struct handler_metric *m)
{
	struct buf line = BUF_INIT(8192);

	buf_printf(&line, "%s.%s:", m->name, m->unit);
	metric_write_double(&line, m->value);
	buf_puts(&line, "|#");
	for (unsigned i = 0; i < m->n; i++)
		buf_printf(&line, "%s%s:%.*s", i ? "," : "", m->keys[i], SLICE_ARG(m->values[i]));
	buf_printf(&line, "|#hostname:%s,", f->telemetry.hostname);
	if (*m->request_ids)
		buf_printf(&line, "requestID:%s,", m->request_ids);
	buf_printf(&line, "timestamp:%llu", (unsigned long long)(clock_wall_ns() / NS_PER_S));
	log_text(LOG_MODEL_METRICS, LOG_INFO, NULL, "MODEL_METRICS", buf_slice(&line));
	buf_finish(&line);
}

void handler_metrics_update(struct fleet *f, struct slice json)
{
	yyjson_doc *doc = yyjson_read_opts((char *)(uintptr_t)json.p, json.n, 0, NULL, NULL);
	bool publish = strcmp(f->settings->metrics_mode, "prometheus") == 0;
	struct handler_metric m;
	yyjson_val *v;
	size_t i, n;

	yyjson_arr_foreach(yyjson_doc_get_root(doc), i, n, v)
	{
		if (!handler_metric_read(v, &m))
			continue;
		if (publish)
			handler_metric_publish(f, &m);
		else
			handler_metric_log(f, &m);
	}
	yyjson_doc_free(doc);
}
