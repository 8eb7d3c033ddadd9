/* SPDX-License-Identifier: Apache-2.0 */
#include "core/metrics.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/util.h"
#include "core/metrics_family.h"

#define EXEMPLAR_NS UINT64_C(60000000000) /* that one with a trace stays before others */

static const double metric_default_bounds[] = { .005, .01, .025, .05, .075, .1,  .25,
						.5,   .75, 1,    2.5, 5,    7.5, 10 };

static bool metric_name_valid(const char *name)
{
	if (!isalpha((unsigned char)*name) && *name != '_' && *name != ':')
		return false;
	for (const char *p = name; *p; p++)
		if (!isalnum((unsigned char)*p) && *p != '_' && *p != ':')
			return false;
	return true;
}

struct metrics *metrics_create(unsigned series_max)
{
	struct metrics *m = mem_new(struct metrics);
	struct metric_family *f;

	map_init(&m->families);
	m->series_max = series_max;
	f = metrics_family(m, "sconce_metric_series_dropped_total", METRIC_COUNTER,
			   "Series that were not kept because their family had too many.", NULL, 0);
	m->dropped = metric_get(f, NULL);
	return m;
}

static void metric_free(struct metric *s)
{
	if (s->histogram) {
		free(s->histogram->counts);
		free(s->histogram->recent);
	}
	free(s->histogram);
	for (unsigned i = 0; i < s->family->n_labels && s->labels; i++)
		free(s->labels[i]);
	free(s->labels);
	free(s);
}

static void metric_family_free(struct metric_family *f)
{
	struct list *n;

	while ((n = list_pop(&f->series)))
		metric_free(container_of(n, struct metric, link));
	if (f->dummy)
		metric_free(f->dummy);
	map_finish(&f->index);
	for (unsigned i = 0; i < f->n_labels; i++)
		free(f->labels[i]);
	free(f->bounds);
	free(f->name);
	free(f->help);
	free(f);
}

struct metrics *metrics_destroy(struct metrics *m)
{
	if (!m)
		return NULL;
	map_for_each (e, &m->families)
		metric_family_free(e->value);
	map_finish(&m->families);
	free(m);
	return NULL;
}

static bool metric_family_same(const struct metric_family *f, enum metric_type type,
			       const char *const *labels, unsigned n)
{
	if (f->type != type || f->n_labels != n)
		return false;
	for (unsigned i = 0; i < n; i++)
		if (strcmp(f->labels[i], labels[i]) != 0)
			return false;
	return true;
}

struct metric_family *metrics_family(struct metrics *m, const char *name, enum metric_type type,
				     const char *help, const char *const *labels, unsigned n)
{
	struct metric_family *f = map_get(&m->families, slice_str(name));

	if (f)
		return metric_family_same(f, type, labels, n) ? f : NULL;
	if (!metric_name_valid(name) || n > METRIC_LABELS_MAX)
		return NULL;
	for (unsigned i = 0; i < n; i++)
		if (!metric_name_valid(labels[i]))
			return NULL;
	f = mem_new(struct metric_family);
	f->metrics = m;
	f->name = mem_strdup(name);
	f->help = mem_strdup(help);
	f->type = type;
	f->n_labels = n;
	for (unsigned i = 0; i < n; i++)
		f->labels[i] = mem_strdup(labels[i]);
	map_init(&f->index);
	list_init(&f->series);
	metric_family_buckets(f, metric_default_bounds, ARRAY_LEN(metric_default_bounds));
	map_set(&m->families, slice_str(name), f);
	return f;
}

void metric_family_buckets(struct metric_family *f, const double *bounds, unsigned n)
{
	assert(f->n_series == 0);
	free(f->bounds);
	f->bounds = mem_alloc(n * sizeof(*bounds));
	memcpy(f->bounds, bounds, n * sizeof(*bounds));
	f->n_bounds = n;
}

static struct metric *metric_new(struct metric_family *f, const struct slice *values)
{
	struct metric *s = mem_new(struct metric);

	s->family = f;
	list_init(&s->link);
	if (f->type == METRIC_HISTOGRAM) {
		s->histogram = mem_new(struct metric_histogram);
		s->histogram->counts = mem_zalloc((f->n_bounds + 1) * sizeof(uint64_t));
	}
	if (!values)
		return s;
	s->labels = mem_zalloc((f->n_labels + 1) * sizeof(*s->labels));
	for (unsigned i = 0; i < f->n_labels; i++)
		s->labels[i] = slice_dup(values[i]);
	return s;
}

/* Label values may hold any byte, so each is preceded by its length. */
static void metric_key(const struct metric_family *f, const struct slice *values, struct buf *key)
{
	for (unsigned i = 0; i < f->n_labels; i++) {
		buf_append(key, &values[i].n, sizeof(values[i].n));
		buf_put_slice(key, values[i]);
	}
}

struct metric *metric_get(struct metric_family *f, const struct slice *values)
{
	struct metric *s = metric_prepare(f, values);

	s->silent = false;
	return s;
}

struct metric *metric_prepare(struct metric_family *f, const struct slice *values)
{
	struct buf key = BUF_INIT((size_t)1 << 20);
	struct metric *s;

	metric_key(f, values, &key);
	s = map_get(&f->index, buf_slice(&key));
	if (!s && (f->n_series >= f->metrics->series_max || buf_overflowed(&key))) {
		if (!f->dummy)
			f->dummy = metric_new(f, NULL);
		metric_add(f->metrics->dropped, 1);
		s = f->dummy;
	} else if (!s) {
		s = metric_new(f, values);
		s->silent = true;
		map_set(&f->index, buf_slice(&key), s);
		list_push_back(&f->series, &s->link);
		f->n_series++;
	}
	buf_finish(&key);
	return s;
}

static void metric_remove(struct metric *s)
{
	struct buf key = BUF_INIT((size_t)1 << 20);
	struct slice values[METRIC_LABELS_MAX];
	struct metric_family *f = s->family;

	for (unsigned i = 0; i < f->n_labels; i++)
		values[i] = slice_str(s->labels[i]);
	metric_key(f, values, &key);
	map_remove(&f->index, buf_slice(&key));
	buf_finish(&key);
	list_remove(&s->link);
	metric_free(s);
	f->n_series--;
}

void metric_drop(struct metric_family *f, const struct slice *values)
{
	struct buf key = BUF_INIT((size_t)1 << 20);
	struct metric *s;

	metric_key(f, values, &key);
	s = map_get(&f->index, buf_slice(&key));
	buf_finish(&key);
	if (s)
		metric_remove(s);
}

void metric_family_forget(struct metric_family *f, const char *label, struct slice value)
{
	unsigned at = 0;

	while (at < f->n_labels && strcmp(f->labels[at], label) != 0)
		at++;
	if (at == f->n_labels)
		return;
	list_for_each_safe (n, &f->series) {
		struct metric *s = container_of(n, struct metric, link);

		if (slice_eq(slice_str(s->labels[at]), value))
			metric_remove(s);
	}
}

/* Returns its bucket. */
static unsigned metric_count(struct metric *m, double v)
{
	const struct metric_family *f = m->family;
	unsigned i = 0;

	assert(m->histogram);
	while (i < f->n_bounds && v > f->bounds[i])
		i++;
	m->histogram->counts[i]++;
	m->histogram->sum += v;
	m->silent = false;
	return i;
}

void metric_observe(struct metric *m, double v)
{
	metric_count(m, v);
}

struct metric_view metric_look(const struct metric *m)
{
	assert(m->histogram);
	return (struct metric_view){ .bounds = m->family->bounds,
				     .counts = m->histogram->counts,
				     .n = m->family->n_bounds + 1,
				     .sum = m->histogram->sum };
}

static void exemplar_take(char *to, size_t size, const char *id)
{
	size_t n = id ? strnlen(id, size - 1) : 0;

	if (n)
		memcpy(to, id, n);
	to[n] = '\0';
}

void metric_observe_request(struct metric *m, double v, const struct metric_request *r)
{
	struct metric_histogram *h = m->histogram;
	struct exemplar *e;

	assert(h);
	if (!h->recent)
		h->recent = mem_zalloc((m->family->n_bounds + 1) * sizeof(*h->recent));
	e = &h->recent[metric_count(m, v)];
	/* Where few are recorded, those are the ones to look at. */
	if (*e->trace_id && !(r->trace_id && *r->trace_id) && r->at_ns - e->at_ns < EXEMPLAR_NS)
		return;
	e->value = v;
	e->at_ns = r->at_ns;
	exemplar_take(e->request_id, sizeof(e->request_id), r->request_id);
	exemplar_take(e->trace_id, sizeof(e->trace_id), r->trace_id);
}
