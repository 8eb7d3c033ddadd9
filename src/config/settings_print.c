/* SPDX-License-Identifier: Apache-2.0 */

/* The table of settings, written for people and for snapshots. */
#include "config/properties.h"
#include "config/table.h"

#define HELP_INDENT 8
#define HELP_WIDTH 80

/* A section may have rows in both tables; it is written where it occurs first. */
static bool section_seen_before(unsigned i)
{
	for (unsigned j = 0; j < i; j++)
		if (strcmp(setting_at(j)->info.section, setting_at(i)->info.section) == 0)
			return true;
	return false;
}

void settings_write_styled(struct buf *out, const struct settings_style *style, bool ignored)
{
	const struct setting *first, *t;

	for (unsigned i = 0; (first = setting_at(i)); i++) {
		if (section_seen_before(i) || first->info.accepted_only != ignored)
			continue;
		style->section(out, first->info.section);
		for (unsigned j = i; (t = setting_at(j)); j++)
			if (strcmp(t->info.section, first->info.section) == 0)
				style->row(out, &t->info);
	}
}

/* Indented lines, broken at blanks. */
static void put_wrapped(struct buf *out, struct slice text)
{
	size_t column = HELP_WIDTH;

	while (text.n) {
		struct slice word = slice_cut(&text, ' ');

		if (column + 1 + word.n > HELP_WIDTH) {
			buf_printf(out, "\n%*s", HELP_INDENT, "");
			column = HELP_INDENT;
		} else {
			buf_putc(out, ' ');
			column++;
		}
		buf_put_slice(out, word);
		column += word.n;
	}
	buf_putc(out, '\n');
}

static void help_section(struct buf *out, const char *name)
{
	buf_printf(out, "\n%s:\n", name);
}

static void help_row(struct buf *out, const struct setting_info *info)
{
	_cleanup_(buf_finish) struct buf help = BUF_INIT(4096);

	buf_puts(out, "  --");
	for (const char *c = info->key; *c; c++)
		buf_putc(out, *c == '_' ? '-' : *c);
	buf_printf(out, " <%s>", info->allowed ? info->allowed : info->type);
	buf_puts(&help, info->help);
	if (info->fallback)
		buf_printf(&help, " [default: %s]", info->fallback);
	put_wrapped(out, buf_slice(&help));
}

void settings_write_help(struct buf *out)
{
	static const struct settings_style style = { help_section, help_row };

	settings_write_styled(out, &style, false);
	buf_puts(out, "\nSettings of TorchServe that have no effect here are accepted, too:");
	for (unsigned i = 0; setting_at(i); i++)
		if (setting_at(i)->info.accepted_only)
			buf_printf(out, "\n  %s", setting_at(i)->info.key);
	buf_putc(out, '\n');
}

static void markdown_section(struct buf *out, const char *name)
{
	buf_printf(out,
		   "\n## %s\n\n| Setting | Type | Default | Allowed | Meaning |\n"
		   "|---|---|---|---|---|\n",
		   name);
}

/* A | would end the cell, and * and _ would change the type face outside of `code`. */
static void put_cell(struct buf *out, const char *text, bool code)
{
	buf_puts(out, code && text ? "`" : "");
	for (const char *c = text; c && *c; c++) {
		if (*c == '|' || (!code && strchr("*_<", *c)))
			buf_putc(out, '\\');
		buf_putc(out, *c);
	}
	buf_puts(out, code && text ? "` | " : " | ");
}

static void markdown_row(struct buf *out, const struct setting_info *info)
{
	buf_puts(out, "| ");
	put_cell(out, info->key, true);
	put_cell(out, info->type, false);
	put_cell(out, info->fallback, true);
	put_cell(out, info->allowed, true);
	put_cell(out, info->help, false);
	out->n--;
	buf_putc(out, '\n');
}

void settings_write_markdown(struct buf *out)
{
	static const struct settings_style style = { markdown_section, markdown_row };

	buf_puts(
		out,
		"# Settings\n\n"
		"Written by `sconce-settings-doc` from the table in `src/config/`; do not edit.\n\n"
		"A setting may be given in several places; the later ones of this list win:\n\n"
		"1. its default;\n"
		"2. a file in the syntax of Java properties (`$$NAME$$` in a value stands for an\n"
		"   environment variable): the one named by `TS_CONFIG_FILE`, else by\n"
		"   `--ts-config`; if none is named, the newest snapshot in\n"
		"   `<log_location>/config` and, over it, `config.properties` in the working\n"
		"   directory;\n"
		"3. the environment: `LOG_LOCATION` and `METRICS_LOCATION` always,\n"
		"   `TS_<KEY>` if `enable_envvars_config=true`, then `SCONCE_<KEY>`\n"
		"   (`SCONCE_JOB_QUEUE_SIZE=200`);\n"
		"4. the command line (`--job-queue-size 200`). The flags of `torchserve` come\n"
		"   before the environment, as TorchServe has it.\n\n"
		"Snapshots are written when the models are loaded, after every change to them and\n"
		"at the end; the newest 20 are kept. `no_config_snapshots=true` (`--ncs`) neither\n"
		"writes nor reads them. A snapshot brings back the models and the settings that\n"
		"nobody gives now. It never brings back what would open this run because an\n"
		"earlier one was open: `disable_token_authorization`, `token_expiration_min`,\n"
		"`enable_model_api`, `use_env_allowed_urls`, `install_py_dep_per_model`,\n"
		"`cors_allowed_*`, and listeners on other than loopback addresses and Unix\n"
		"sockets; a warning names what was left out. (`allowed_urls` and\n"
		"`blacklist_env_vars` do come back: without them more would be allowed.)\n\n"
		"`sconce settings --effective`, with the flags of `sconce serve`, prints each\n"
		"setting with the value that counts here and who gave it; the start logs those\n"
		"that were given.\n\n"
		"Sizes are bytes and may end in k, m, g or t (powers of 1024).\n"
		"A setting that is not known gives a warning; a value that is not allowed\n"
		"stops the start with a message. But truth values of TorchServe's settings that\n"
		"are neither true nor false count as false, with a warning, in the file and in\n"
		"`TS_<KEY>`. Keys of files are written with `_`; `-` is for flags.\n");
	settings_write_styled(out, &style, false);
	settings_write_styled(out, &style, true);
}

void settings_write_properties(const struct settings *s, struct buf *out)
{
	const struct setting *t;

	for (unsigned i = 0; (t = setting_at(i)); i++) {
		_cleanup_(buf_finish) struct buf value = BUF_INIT(PROPERTIES_TEXT_MAX);

		if (t->secret || t->offset == offsetof(struct settings, model_snapshot) ||
		    !settings_given(s, i))
			continue;
		/* None is written as nothing: it may have taken the place of a default. */
		setting_format(t, s, &value);
		properties_put(out, slice_str(t->info.key), slice_str(buf_cstr(&value)));
	}
}
