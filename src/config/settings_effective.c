/* SPDX-License-Identifier: Apache-2.0 */

/* The settings that count, with who gave them. */
#include "config/table.h"

#define SHOWN_MAX ((size_t)200) /* of a value in a list of them */
#define KEY_WIDTH 42

/* Hidden, none, or the text without what a terminal would obey. */
static void put_value(const struct setting *t, const struct settings *s, size_t max,
		      struct buf *out)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT((size_t)1 << 20);

	if (t->secret) {
		buf_puts(out, "(hidden)");
		return;
	}
	if (!setting_format(t, s, &text)) {
		buf_putc(out, '-');
		return;
	}
	for (size_t i = 0; i < MIN(text.n, max); i++) {
		unsigned char c = (unsigned char)text.p[i];

		buf_putc(out, c < 0x20 || c == 0x7f ? '?' : (char)c);
	}
	buf_puts(out, text.n > max ? "..." : "");
}

/* Nobody gave it, and it is not what the table says: it was made from others, or the machine. */
static bool is_derived(const struct setting *t, const struct settings *s,
		       const struct settings *fresh)
{
	_cleanup_(buf_finish) struct buf a = BUF_INIT((size_t)1 << 20),
					 b = BUF_INIT((size_t)1 << 20);

	setting_format(t, s, &a);
	setting_format(t, fresh, &b);
	return !slice_eq(buf_slice(&a), buf_slice(&b));
}

void settings_write_effective(const struct settings *s, struct buf *out)
{
	const struct setting *t;
	struct settings fresh;

	settings_init(&fresh);
	for (unsigned i = 0; (t = setting_at(i)); i++) {
		const char *origin = s->origins[i];

		if (!origin)
			origin = is_derived(t, s, &fresh) ? "derived" : "default";
		buf_printf(out, "%-*s ", KEY_WIDTH, t->info.key);
		put_value(t, s, SIZE_MAX, out);
		buf_printf(out, "  (%s)\n", origin);
	}
	settings_finish(&fresh);
}

/* "config.properties:7" is of the file, "--x" of the command line, "X" of the environment. */
static struct slice source_of(const char *origin)
{
	struct slice s = slice_str(origin);
	size_t n = s.n;

	if (slice_starts(s, SLICE("--")))
		return SLICE("the command line");
	while (n && s.p[n - 1] >= '0' && s.p[n - 1] <= '9')
		n--;
	if (n && n < s.n && s.p[n - 1] == ':')
		return slice_make(s.p, n - 1);
	return SLICE("the environment");
}

static bool is_of(const struct settings *s, unsigned i, struct slice source)
{
	return s->origins[i] && slice_eq(source_of(s->origins[i]), source);
}

/* Pages of JSON, which the start tells model by model. */
static bool is_of_models(const struct setting *t)
{
	return t->offset == offsetof(struct settings, model_snapshot);
}

static bool source_told(const struct settings *s, unsigned i)
{
	for (unsigned j = 0; j < i; j++)
		if (is_of(s, j, source_of(s->origins[i])) && !is_of_models(setting_at(j)))
			return true;
	return false;
}

void settings_write_sources(const struct settings *s, struct buf *out)
{
	const struct setting *t;

	for (unsigned i = 0; setting_at(i); i++) {
		struct slice source;
		unsigned n = 0;

		if (!s->origins[i] || is_of_models(setting_at(i)) || source_told(s, i))
			continue;
		source = source_of(s->origins[i]);
		buf_printf(out, "Settings from %.*s: ", SLICE_ARG(source));
		for (unsigned j = i; (t = setting_at(j)); j++) {
			if (!is_of(s, j, source) || is_of_models(t))
				continue;
			buf_printf(out, "%s%s=", n++ ? ", " : "", t->info.key);
			put_value(t, s, SHOWN_MAX, out);
		}
		buf_putc(out, '\n');
	}
}
