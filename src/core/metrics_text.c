/* SPDX-License-Identifier: Apache-2.0 */
#include "core/metrics_family.h"

/*
 * Prometheus' exposition format 0.0.4, as TorchServe's client writes it.
 */

#include "base/decimal.h"
#include "base/utf8.h"
#include "base/util.h"

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

void metric_write_escaped(struct buf *out, const char *s, bool quotes)
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

struct metric_wish metric_wish(const struct slice *names, unsigned n, struct slice family)
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

bool metric_wished(const struct metric_family *f, const struct metric_wish *w)
{
	return w->whole || (f->type == METRIC_HISTOGRAM && (w->bucket || w->count || w->sum));
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

	if (!metric_wished(f, &w))
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
