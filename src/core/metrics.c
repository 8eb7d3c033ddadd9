/* SPDX-License-Identifier: Apache-2.0 */
#include "core/metrics.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/decimal.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "base/util.h"

struct metric_histogram {
	uint64_t *counts; /* per bucket, not cumulative; the last is +Inf */
	double sum;
};

struct metric_family {
	struct metrics *metrics;
	char *name, *help;
	enum metric_type type;
	char *labels[METRIC_LABELS_MAX];
	unsigned n_labels;
	double *bounds;
	unsigned n_bounds;
	struct map index; /* joined label values → struct metric */
	struct list series;
	unsigned n_series;
	struct metric *dummy;
};

struct metrics {
	struct map families;
	unsigned series_max;
	struct metric *dropped;
};

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
	if (s->histogram)
		free(s->histogram->counts);
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

void metric_observe(struct metric *m, double v)
{
	const struct metric_family *f = m->family;
	unsigned i = 0;

	assert(m->histogram);
	while (i < f->n_bounds && v > f->bounds[i])
		i++;
	m->histogram->counts[i]++;
	m->histogram->sum += v;
	m->silent = false;
}

/* ---- text ---- */

void metric_write_double(struct buf *out, double v)
{
	char text[DECIMAL_MAX];

	buf_append(out, text, decimal_write(text, v));
}

/* Returns how many bytes of `s`, which is not ASCII, that was. */
static size_t metric_write_wide(struct buf *out, struct slice s)
{
	size_t n = utf8_char(s, NULL);

	buf_put_slice(out, n ? slice_make(s.p, n) : UTF8_REPLACEMENT);
	return n ? n : 1;
}

/* How many of these bytes are written as they are. */
static size_t metric_plain(const char *s)
{
	size_t n = 0;

	while (s[n] && (unsigned char)s[n] < 0x80 && s[n] != '\n' && s[n] != '\\' && s[n] != '"')
		n++;
	return n;
}

static void metric_write_escaped(struct buf *out, const char *s, bool quotes)
{
	while (*s) {
		size_t plain = metric_plain(s);

		if (plain) {
			buf_append(out, s, plain);
			s += plain;
			continue;
		}
		if ((unsigned char)*s >= 0x80) {
			s += metric_write_wide(out, slice_str(s));
			continue;
		}
		if (*s == '\n')
			buf_puts(out, "\\n");
		else if (*s == '\\' || (*s == '"' && quotes))
			buf_printf(out, "\\%c", *s);
		else
			buf_putc(out, *s);
		s++;
	}
}

/* `suffix` and `le` may be NULL. */
static void metric_write_sample(struct buf *out, const struct metric *m, const char *suffix,
				const char *le, double v)
{
	const struct metric_family *f = m->family;

	buf_puts(out, f->name);
	buf_puts(out, suffix ? suffix : "");
	if (f->n_labels || le)
		buf_putc(out, '{');
	for (unsigned i = 0; i < f->n_labels; i++) {
		buf_puts(out, f->labels[i]);
		buf_append(out, "=\"", 2);
		metric_write_escaped(out, m->labels[i], true);
		buf_append(out, "\",", 2);
	}
	if (le)
		buf_printf(out, "le=\"%s\",", le);
	buf_puts(out, f->n_labels || le ? "} " : " ");
	metric_write_double(out, v);
	buf_putc(out, '\n');
}

/* What of a family was asked for. */
struct metric_wish {
	bool whole, bucket, count, sum;
};

static struct metric_wish metric_wish(const struct slice *names, unsigned n, struct slice family)
{
	struct metric_wish w = { .whole = n == 0 };

	for (unsigned i = 0; i < n; i++) {
		struct slice suffix;

		if (!slice_starts(names[i], family))
			continue;
		suffix = slice_make(names[i].p + family.n, names[i].n - family.n);
		w.whole |= !suffix.n;
		w.bucket |= slice_eq(suffix, SLICE("_bucket"));
		w.count |= slice_eq(suffix, SLICE("_count"));
		w.sum |= slice_eq(suffix, SLICE("_sum"));
	}
	return w;
}

static uint64_t metric_write_buckets(struct buf *out, const struct metric *m, bool wanted)
{
	const struct metric_family *f = m->family;
	uint64_t total = 0;

	for (unsigned i = 0; i <= f->n_bounds; i++) {
		char le[DECIMAL_MAX + 1] = "+Inf";

		total += m->histogram->counts[i];
		if (!wanted)
			continue;
		if (i < f->n_bounds)
			le[decimal_write(le, f->bounds[i])] = '\0';
		metric_write_sample(out, m, "_bucket", le, (double)total);
	}
	return total;
}

static void metric_write_histogram(struct buf *out, const struct metric *m, struct metric_wish w)
{
	uint64_t total = metric_write_buckets(out, m, w.whole || w.bucket);

	if (w.whole || w.count)
		metric_write_sample(out, m, "_count", NULL, (double)total);
	if (w.whole || w.sum)
		metric_write_sample(out, m, "_sum", NULL, m->histogram->sum);
}

static void metric_family_write(struct buf *out, const struct metric_family *f,
				const struct slice *names, unsigned n)
{
	static const char *const types[] = { "counter", "gauge", "histogram" };
	struct metric_wish w = metric_wish(names, n, slice_str(f->name));
	bool histogram = f->type == METRIC_HISTOGRAM;

	if (!w.whole && !(histogram && (w.bucket || w.count || w.sum)))
		return;
	buf_printf(out, "# HELP %s ", f->name);
	metric_write_escaped(out, f->help, false);
	buf_printf(out, "\n# TYPE %s %s\n", f->name, types[f->type]);
	list_for_each (l, &f->series) {
		const struct metric *m = container_of(l, struct metric, link);

		if (m->silent)
			continue;
		if (histogram)
			metric_write_histogram(out, m, w);
		else
			metric_write_sample(out, m, NULL, NULL, m->value);
	}
}

void metrics_write(const struct metrics *m, const struct slice *names, unsigned n, struct buf *out)
{
	map_for_each (e, &m->families)
		metric_family_write(out, e->value, names, n);
}

void metrics_write_prefixed(const struct metrics *m, struct slice prefix, const struct slice *names,
			    unsigned n, struct buf *out)
{
	map_for_each (e, &m->families) {
		const struct metric_family *f = e->value;

		if (slice_starts(slice_str(f->name), prefix))
			metric_family_write(out, f, names, n);
	}
}
