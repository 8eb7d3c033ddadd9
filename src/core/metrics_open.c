/* SPDX-License-Identifier: Apache-2.0 */
#include "core/metrics_family.h"

/*
 * OpenMetrics 1.0. A counter's samples end in `_total` there and its family does not; one of
 * another name (TorchServe's) keeps it and is of the type unknown, so that a series has one name
 * in both formats. Buckets bear the newest request that fell into them.
 */

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/decimal.h"
#include "base/util.h"

/* A name is its family's alone, with all that may follow it. */
static bool open_is_taken(const struct metrics *m, struct slice name, const char *suffix,
			  const char *instead, enum metric_type type)
{
	struct slice tail = slice_str(suffix), stem = name;
	const struct metric_family *f;
	char owner[256];

	if (!slice_ends(name, tail))
		return false;
	stem.n -= tail.n;
	if (stem.n + strlen(instead) >= sizeof(owner))
		return true;
	snprintf(owner, sizeof(owner), "%.*s%s", SLICE_ARG(stem), instead);
	f = map_get(&m->families, slice_str(owner));
	return f && f->type == type;
}

static bool open_clashes(const struct metric_family *f)
{
	static const char *const suffixes[] = { "_bucket", "_count", "_sum", "_created" };
	struct slice name = slice_str(f->name);

	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++)
		if (open_is_taken(f->metrics, name, suffixes[i], "", METRIC_HISTOGRAM))
			return true;
	return open_is_taken(f->metrics, name, "_created", "_total", METRIC_COUNTER);
}

/* Without `_total`, where that may go. */
static struct slice open_name(const struct metric_family *f)
{
	static const struct slice total = SLICE_CONST("_total");
	struct slice name = slice_str(f->name), stem = name;

	if (f->type != METRIC_COUNTER || !slice_ends(name, total))
		return name;
	stem.n -= total.n;
	return stem.n && !map_get(&f->metrics->families, stem) ? stem : name;
}

static const char *open_type(const struct metric_family *f)
{
	if (f->type == METRIC_COUNTER)
		return open_name(f).n < strlen(f->name) ? "counter" : "unknown";
	return f->type == METRIC_GAUGE ? "gauge" : "histogram";
}

static void open_write_head(struct buf *out, const struct metric_family *f)
{
	static const struct slice units[] = { SLICE_CONST("seconds"), SLICE_CONST("bytes"),
					      SLICE_CONST("ratio") };
	struct slice name = open_name(f);

	buf_printf(out, "# TYPE %.*s %s\n", SLICE_ARG(name), open_type(f));
	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if (name.n > units[i].n + 1 && slice_ends(name, units[i]) &&
		    name.p[name.n - units[i].n - 1] == '_')
			buf_printf(out, "# UNIT %.*s %.*s\n", SLICE_ARG(name), SLICE_ARG(units[i]));
	buf_printf(out, "# HELP %.*s ", SLICE_ARG(name));
	metric_write_escaped(out, f->help, true);
	buf_putc(out, '\n');
}

/* The one way in which a bound may be written. */
static void open_put_bound(struct buf *out, double v)
{
	char text[32];

	snprintf(text, sizeof(text), "%.15g", v);
	buf_puts(out, text);
	if (!text[strcspn(text, ".e")])
		buf_puts(out, ".0");
}

/* Up to its value; `bound` NULL: it has none. */
static void open_put_name(struct buf *out, const struct metric *m, const char *suffix,
			  const double *bound)
{
	const struct metric_family *f = m->family;
	char before = '{';

	buf_puts(out, f->name);
	buf_puts(out, suffix);
	for (unsigned i = 0; i < f->n_labels; i++, before = ',') {
		buf_putc(out, before);
		buf_puts(out, f->labels[i]);
		buf_append(out, "=\"", 2);
		metric_write_escaped(out, m->labels[i], true);
		buf_putc(out, '"');
	}
	if (bound) {
		buf_putc(out, before);
		buf_puts(out, "le=\"");
		if (isinf(*bound))
			buf_puts(out, "+Inf");
		else
			open_put_bound(out, *bound);
		buf_putc(out, '"');
	}
	buf_puts(out, f->n_labels || bound ? "} " : " ");
}

static void open_put_id(struct buf *out, const char *name, const char *id, bool *first)
{
	if (!*id)
		return;
	buf_printf(out, "%s%s=\"", *first ? "" : ",", name);
	metric_write_escaped(out, id, true);
	buf_putc(out, '"');
	*first = false;
}

static void open_put_exemplar(struct buf *out, const struct exemplar *e, int64_t wall_ns)
{
	bool first = true;

	buf_puts(out, " # {");
	open_put_id(out, "trace_id", e->trace_id, &first);
	open_put_id(out, "request_id", e->request_id, &first);
	buf_puts(out, "} ");
	metric_write_double(out, e->value);
	buf_printf(out, " %.3f", ((double)e->at_ns + (double)wall_ns) / 1e9);
}

static void open_write_value(struct buf *out, const struct metric *m, const char *suffix, double v)
{
	open_put_name(out, m, suffix, NULL);
	metric_write_double(out, v);
	buf_putc(out, '\n');
}

static void open_write_histogram(struct buf *out, const struct metric *m, int64_t wall_ns)
{
	const struct metric_family *f = m->family;
	const struct metric_histogram *h = m->histogram;
	uint64_t total = 0;

	for (unsigned i = 0; i <= f->n_bounds; i++) {
		double bound = i < f->n_bounds ? f->bounds[i] : INFINITY;

		total += h->counts[i];
		open_put_name(out, m, "_bucket", &bound);
		buf_printf(out, "%llu", (unsigned long long)total);
		if (h->recent && h->recent[i].at_ns)
			open_put_exemplar(out, &h->recent[i], wall_ns);
		buf_putc(out, '\n');
	}
	open_write_value(out, m, "_count", (double)total);
	open_write_value(out, m, "_sum", h->sum);
}

static void open_write_family(struct buf *out, const struct metric_family *f, int64_t wall_ns)
{
	open_write_head(out, f);
	list_for_each (l, &f->series) {
		const struct metric *m = container_of(l, struct metric, link);

		if (m->silent)
			continue;
		if (f->type == METRIC_HISTOGRAM)
			open_write_histogram(out, m, wall_ns);
		else
			open_write_value(out, m, "", m->value);
	}
}

void metrics_write_open(const struct metrics *m, struct slice prefix, const struct slice *names,
			unsigned n, int64_t wall_ns, struct buf *out)
{
	map_for_each (e, &m->families) {
		const struct metric_family *f = e->value;
		struct metric_wish w = metric_wish(names, n, slice_str(f->name));

		if (slice_starts(slice_str(f->name), prefix) && metric_wished(f, &w) &&
		    !open_clashes(f))
			open_write_family(out, f, wall_ns);
	}
}
