/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/catalogue.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/util.h"
#include "config/yaml.h"
#include "wire/json.h"

#define CATALOGUE_MODEL_MAX ((size_t)24576) /* they travel in one frame with much else */
#define HOST "Level", "Hostname"
#define DEVICE "Level", "DeviceId", "Hostname"
#define VERSION "model_name", "model_version", "hostname"
#define ROW(name_, unit_, type_, n, ...)                                                           \
	{                                                                                          \
		.name = name_, .unit = unit_, .type = type_, .dimensions = { __VA_ARGS__ },        \
		.n_dimensions = n                                                                  \
	}

static const struct catalogue_metric catalogue_server[] = {
	ROW("Requests2XX", "Count", METRIC_COUNTER, 2, HOST),
	ROW("Requests4XX", "Count", METRIC_COUNTER, 2, HOST),
	ROW("Requests5XX", "Count", METRIC_COUNTER, 2, HOST),
	ROW("ts_inference_requests_total", "Count", METRIC_COUNTER, 3, VERSION),
	ROW("ts_inference_latency_microseconds", "Microseconds", METRIC_COUNTER, 3, VERSION),
	ROW("ts_queue_latency_microseconds", "Microseconds", METRIC_COUNTER, 3, VERSION),
	ROW("QueueTime", "Milliseconds", METRIC_GAUGE, 2, HOST),
	ROW("WorkerThreadTime", "Milliseconds", METRIC_GAUGE, 2, HOST),
	ROW("WorkerLoadTime", "Milliseconds", METRIC_GAUGE, 3, "WorkerName", HOST),
	ROW("CPUUtilization", "Percent", METRIC_GAUGE, 2, HOST),
	ROW("MemoryUsed", "Megabytes", METRIC_GAUGE, 2, HOST),
	ROW("MemoryAvailable", "Megabytes", METRIC_GAUGE, 2, HOST),
	ROW("MemoryUtilization", "Percent", METRIC_GAUGE, 2, HOST),
	ROW("DiskUsage", "Gigabytes", METRIC_GAUGE, 2, HOST),
	ROW("DiskUtilization", "Percent", METRIC_GAUGE, 2, HOST),
	ROW("DiskAvailable", "Gigabytes", METRIC_GAUGE, 2, HOST),
	ROW("GPUMemoryUtilization", "Percent", METRIC_GAUGE, 3, DEVICE),
	ROW("GPUMemoryUsed", "Megabytes", METRIC_GAUGE, 3, DEVICE),
	ROW("GPUUtilization", "Percent", METRIC_GAUGE, 3, DEVICE),
};

static const struct catalogue_metric catalogue_model[] = {
	ROW("HandlerTime", "ms", METRIC_GAUGE, 2, "ModelName", "Level"),
	ROW("PredictionTime", "ms", METRIC_GAUGE, 2, "ModelName", "Level"),
};

static void catalogue_add(struct map *section, const struct catalogue_metric *m)
{
	map_set(section, slice_str(m->name), (void *)(uintptr_t)m);
}

static void catalogue_init_empty(struct catalogue *c)
{
	region_init(&c->region);
	map_init(&c->server);
	map_init(&c->model);
}

void catalogue_init(struct catalogue *c)
{
	catalogue_init_empty(c);
	for (size_t i = 0; i < ARRAY_LEN(catalogue_server); i++)
		catalogue_add(&c->server, &catalogue_server[i]);
	for (size_t i = 0; i < ARRAY_LEN(catalogue_model); i++)
		catalogue_add(&c->model, &catalogue_model[i]);
}

void catalogue_finish(struct catalogue *c)
{
	map_finish(&c->server);
	map_finish(&c->model);
	region_finish(&c->region);
}

/* ---- the file ---- */

static const char *const catalogue_types[] = {
	[METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge", [METRIC_HISTOGRAM] = "histogram"
};

const char *catalogue_type_name(enum metric_type type)
{
	return catalogue_types[type];
}

struct catalogue_reader {
	struct catalogue *catalogue;
	const char *file;
	struct buf *why;
	bool model; /* the section in hand is model_metrics */
};

static _printf_(3, 4) int catalogue_refuse(const struct catalogue_reader *r, const struct yaml *at,
					   const char *fmt, ...)
{
	char text[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	buf_printf(r->why, "%s:%u: %s\n", r->file, at->line, text);
	return -EINVAL;
}

static bool catalogue_is_text(const struct yaml *y)
{
	bool scalar = y && y->kind != YAML_NULL && y->kind != YAML_SEQ && y->kind != YAML_MAP;

	return scalar && y->text.n && y->text.n <= CATALOGUE_TEXT_MAX;
}

static int catalogue_read_dimensions(const struct catalogue_reader *r, const struct yaml *y,
				     struct catalogue_metric *m)
{
	/* The host name is one more dimension of model metrics. */
	unsigned max = r->model ? METRIC_LABELS_MAX - 1 : METRIC_LABELS_MAX;

	if (y->kind != YAML_SEQ)
		return catalogue_refuse(r, y, "dimensions of %s must be a list of names", m->name);
	for (const struct yaml *d = y->child; d; d = d->next) {
		if (!catalogue_is_text(d))
			return catalogue_refuse(r, d, "a dimension of %s must be a name", m->name);
		if (m->n_dimensions == max)
			return catalogue_refuse(r, d, "%s has more than %u dimensions", m->name,
						max);
		m->dimensions[m->n_dimensions++] = d->text.p;
	}
	return 0;
}

static int catalogue_read_metric(const struct catalogue_reader *r, const struct yaml *y,
				 enum metric_type type)
{
	struct map *section = r->model ? &r->catalogue->model : &r->catalogue->server;
	const struct yaml *name = yaml_get(y, "name"), *unit = yaml_get(y, "unit"),
			  *dimensions = yaml_get(y, "dimensions");
	struct catalogue_metric *m;
	int e;

	if (!catalogue_is_text(name) || !catalogue_is_text(unit) || !dimensions)
		return catalogue_refuse(
			r, y,
			"a metric needs name, unit and dimensions, texts of at most "
			"%zu bytes",
			CATALOGUE_TEXT_MAX);
	if (map_get(section, name->text))
		return catalogue_refuse(r, name, "there are two metrics named %s", name->text.p);
	if (section->n == CATALOGUE_METRICS_MAX)
		return catalogue_refuse(r, y, "more than %d metrics", CATALOGUE_METRICS_MAX);
	m = region_new(&r->catalogue->region, struct catalogue_metric);
	*m = (struct catalogue_metric){ .name = name->text.p, .unit = unit->text.p, .type = type };
	e = catalogue_read_dimensions(r, dimensions, m);
	if (e < 0)
		return e;
	catalogue_add(section, m);
	return 0;
}

static int catalogue_find_type(struct slice name)
{
	for (size_t i = 0; i < ARRAY_LEN(catalogue_types); i++)
		if (slice_eq(name, slice_str(catalogue_types[i])))
			return (int)i;
	return -1;
}

static int catalogue_read_section(const struct catalogue_reader *r, const struct yaml *section)
{
	int e = 0;

	if (section->kind == YAML_NULL)
		return 0;
	if (section->kind != YAML_MAP)
		return catalogue_refuse(r, section, "%.*s must have counter, gauge or histogram",
					SLICE_ARG(section->key));
	for (const struct yaml *list = section->child; list && !e; list = list->next) {
		int type = catalogue_find_type(list->key);

		if (type < 0)
			return catalogue_refuse(r, list,
						"'%.*s' is no type of metric; allowed: counter, "
						"gauge, histogram",
						(int)MIN(list->key.n, 60), list->key.p);
		if (list->kind == YAML_NULL)
			continue;
		if (list->kind != YAML_SEQ)
			return catalogue_refuse(r, list, "%.*s must be a list of metrics",
						SLICE_ARG(list->key));
		for (const struct yaml *m = list->child; m && !e; m = m->next)
			e = catalogue_read_metric(r, m, (enum metric_type)type);
	}
	return e;
}

static int catalogue_check_size(const struct catalogue_reader *r, const struct yaml *at)
{
	struct buf text = BUF_INIT(CATALOGUE_MODEL_MAX);
	bool fits;

	catalogue_write_model(r->catalogue, &text);
	fits = !buf_overflowed(&text);
	buf_finish(&text);
	return fits ? 0
		    : catalogue_refuse(r, at, "model_metrics are more than workers can be told");
}

static int catalogue_read(struct catalogue_reader *r, const struct yaml *root)
{
	const struct yaml *server = yaml_get(root, "ts_metrics"),
			  *model = yaml_get(root, "model_metrics");
	int e = 0;

	if (!server && !model)
		return catalogue_refuse(r, root, "there is neither ts_metrics nor model_metrics");
	if (server)
		e = catalogue_read_section(r, server);
	r->model = true;
	if (model && !e)
		e = catalogue_read_section(r, model);
	if (model && !e)
		e = catalogue_check_size(r, model);
	return e;
}

int catalogue_parse(struct catalogue *c, struct slice text, const char *file, struct buf *why)
{
	struct catalogue_reader r = { .catalogue = c, .file = file, .why = why };
	struct buf problem = BUF_INIT(1024);
	struct yaml *root;
	int e;

	catalogue_finish(c);
	catalogue_init_empty(c);
	e = yaml_parse(&c->region, text, &root, &problem);
	if (e < 0)
		buf_printf(why, "%s: %s\n", file, buf_cstr(&problem));
	else
		e = catalogue_read(&r, root);
	buf_finish(&problem);
	return e;
}

void catalogue_write_model(const struct catalogue *c, struct buf *out)
{
	bool first = true;

	buf_putc(out, '[');
	map_for_each (e, &c->model) {
		const struct catalogue_metric *m = e->value;

		buf_puts(out, first ? "{\"name\":" : ",{\"name\":");
		json_put_string(out, slice_str(m->name));
		buf_puts(out, ",\"unit\":");
		json_put_string(out, slice_str(m->unit));
		buf_printf(out, ",\"type\":\"%s\",\"dimensions\":[", catalogue_types[m->type]);
		for (unsigned i = 0; i < m->n_dimensions; i++) {
			buf_puts(out, i ? "," : "");
			json_put_string(out, slice_str(m->dimensions[i]));
		}
		buf_puts(out, "]}");
		first = false;
	}
	buf_putc(out, ']');
}
