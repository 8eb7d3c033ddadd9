/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/handler_metrics.h"

#include <math.h>
#include <string.h>
#include <yyjson.h>

#include "base/mem.h"
#include "base/util.h"

#define HANDLER_DETECTED_MAX CATALOGUE_METRICS_MAX
#define HANDLER_IGNORED_MAX 100
#define HANDLER_IDS_MAX ((size_t)8192)
#define HANDLER_VALUE_MAX ((size_t)1024) /* of a dimension: a series keeps it for ever */

struct handler_family {
	struct meter_family meter;
	struct catalogue_metric metric; /* with the host name as its last dimension */
	bool detected;                  /* its texts are ours */
};

/* An update as a worker sent it. */
struct handler_update {
	const char *name, *unit, *type;
	struct slice ids;
	double value;
	const char *keys[METRIC_LABELS_MAX];
	struct slice values[METRIC_LABELS_MAX];
	unsigned n; /* host name included */
};

static void handler_family_add(struct handler_metrics *h, struct handler_family *f)
{
	meter_family_init(&f->meter, &f->metric, h->metrics, LOG_MODEL_METRICS);
	map_set(&h->families, slice_str(f->metric.name), f);
}

/* A metric that nobody declared: its first update says what it is. */
static struct handler_family *handler_detect(struct handler_metrics *h,
					     const struct handler_update *u)
{
	struct handler_family *f;
	enum metric_type type = METRIC_COUNTER;

	if (!h->auto_detect || h->families.n >= HANDLER_DETECTED_MAX)
		return NULL;
	if (strcmp(u->type, catalogue_type_name(METRIC_GAUGE)) == 0)
		type = METRIC_GAUGE;
	else if (strcmp(u->type, catalogue_type_name(METRIC_HISTOGRAM)) == 0)
		type = METRIC_HISTOGRAM;
	f = mem_new(struct handler_family);
	f->detected = true;
	f->metric.type = type;
	f->metric.name = mem_strdup(u->name);
	f->metric.unit = mem_strdup(u->unit);
	for (unsigned i = 0; i + 1 < u->n; i++)
		f->metric.dimensions[i] = mem_strdup(u->keys[i]);
	f->metric.dimensions[u->n - 1] = "Hostname";
	f->metric.n_dimensions = u->n;
	handler_family_add(h, f);
	return f;
}

/* TorchServe's workers emit it after each batch as handlers emit theirs; here the server does. */
static void handler_detect_own(struct handler_metrics *h)
{
	const struct handler_update u = { .name = "PredictionTime",
					  .unit = "Milliseconds",
					  .type = "gauge",
					  .keys = { "ModelName", "Level", "Hostname" },
					  .n = 3 };

	if (!map_get(&h->families, slice_str(u.name)))
		handler_detect(h, &u);
}

void handler_metrics_init(struct handler_metrics *h, const struct catalogue *catalogue,
			  struct metrics *metrics, const char *hostname, bool auto_detect)
{
	*h = (struct handler_metrics){ .metrics = metrics,
				       .hostname = hostname,
				       .auto_detect = auto_detect };
	map_init(&h->families);
	map_init(&h->ignored);
	map_for_each (e, &catalogue->model) {
		struct handler_family *f = mem_new(struct handler_family);

		f->metric = *(const struct catalogue_metric *)e->value;
		f->metric.dimensions[f->metric.n_dimensions++] = "Hostname";
		handler_family_add(h, f);
	}
	handler_detect_own(h);
}

static void handler_family_free(struct handler_family *f)
{
	for (unsigned i = 0; f->detected && i + 1 < f->metric.n_dimensions; i++)
		free((void *)(uintptr_t)f->metric.dimensions[i]);
	if (f->detected) {
		free((void *)(uintptr_t)f->metric.name);
		free((void *)(uintptr_t)f->metric.unit);
	}
	free(f);
}

void handler_metrics_finish(struct handler_metrics *h)
{
	map_for_each (e, &h->families)
		handler_family_free(e->value);
	map_finish(&h->families);
	map_finish(&h->ignored);
}

void handler_metrics_meter(const struct handler_metrics *h, const char *name,
			   const struct slice *values, unsigned n, struct meter *ret)
{
	const struct handler_family *f = map_get(&h->families, slice_str(name));

	*ret = (struct meter){ 0 };
	if (f && f->metric.n_dimensions == n)
		meter_init(ret, &f->meter, values);
}

/* ---- updates ---- */

static const char *handler_text(yyjson_val *v, const char *key)
{
	const char *s = yyjson_get_str(yyjson_obj_get(v, key));

	return s ? s : "";
}

static bool handler_update_read(yyjson_val *v, const char *hostname, struct handler_update *u)
{
	yyjson_val *dimensions = yyjson_obj_get(v, "dimensions"), *d;
	size_t i, n;

	*u = (struct handler_update){ .name = handler_text(v, "name"),
				      .unit = handler_text(v, "unit"),
				      .type = handler_text(v, "type"),
				      .ids = slice_str(handler_text(v, "request_ids")) };
	if (!*u->name || strlen(u->name) > CATALOGUE_TEXT_MAX ||
	    strlen(u->unit) > CATALOGUE_TEXT_MAX || !yyjson_is_num(yyjson_obj_get(v, "value")))
		return false;
	u->ids.n = MIN(u->ids.n, HANDLER_IDS_MAX);
	u->value = yyjson_get_num(yyjson_obj_get(v, "value"));
	yyjson_arr_foreach(dimensions, i, n, d)
	{
		u->keys[u->n] = yyjson_get_str(yyjson_arr_get(d, 0));
		u->values[u->n] = slice_str(yyjson_get_str(yyjson_arr_get(d, 1)));
		if (!u->keys[u->n] || strlen(u->keys[u->n]) > CATALOGUE_TEXT_MAX ||
		    !u->values[u->n].p || ++u->n == METRIC_LABELS_MAX)
			return false;
	}
	u->keys[u->n] = "Hostname";
	u->values[u->n++] = slice_str(hostname);
	return isfinite(u->value);
}

static void handler_ignore(struct handler_metrics *h, const struct handler_update *u,
			   const char *thread)
{
	if (h->ignored.n >= HANDLER_IGNORED_MAX || map_get(&h->ignored, slice_str(u->name)))
		return;
	map_set(&h->ignored, slice_str(u->name), h);
	log_line(LOG_SERVER, LOG_WARN, thread, "sconce.metrics",
		 "Metric %s is dropped: metrics_config does not name it. Add it there, or set "
		 "model_metrics_auto_detect=true",
		 u->name);
}

static const char *handler_objection(const struct handler_family *f, const struct handler_update *u)
{
	if (f->metric.n_dimensions != u->n)
		return "it has another number of dimensions than was declared";
	if (f->metric.type == METRIC_COUNTER && u->value < 0)
		return "a counter never goes down";
	for (unsigned i = 0; i < u->n; i++)
		if (u->values[i].n > HANDLER_VALUE_MAX)
			return "the value of a dimension is longer than 1024 bytes";
	return NULL;
}

static void handler_update_apply(struct handler_metrics *h, const char *thread,
				 const struct handler_update *u)
{
	struct handler_family *f = map_get(&h->families, slice_str(u->name));
	const char *objection;

	if (!f)
		f = handler_detect(h, u);
	if (!f) {
		handler_ignore(h, u, thread);
		return;
	}
	objection = handler_objection(f, u);
	if (!objection) {
		meter_family_update(&f->meter, u->values, thread, u->value, u->ids);
		return;
	}
	if (!f->meter.complained)
		log_line(LOG_SERVER, LOG_WARN, thread, "sconce.metrics",
			 "An update of metric %s is dropped: %s", u->name, objection);
	f->meter.complained = true;
}

void handler_metrics_update(struct handler_metrics *h, const char *thread, struct slice json)
{
	/* A number that is too large for a double is its own update's fault. */
	yyjson_doc *doc = yyjson_read_opts((char *)(uintptr_t)json.p, json.n,
					   YYJSON_READ_ALLOW_INF_AND_NAN, NULL, NULL);
	struct handler_update u;
	yyjson_val *v;
	size_t i, n;

	yyjson_arr_foreach(yyjson_doc_get_root(doc), i, n,
			   v) if (handler_update_read(v, h->hostname, &u))
		handler_update_apply(h, thread, &u);
	yyjson_doc_free(doc);
}
