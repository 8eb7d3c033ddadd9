/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/torchserve_options.h"

/* Parsed as Python's argparse does it, because scripts rely on it: --key value, --key=value, and
 * unambiguous beginnings of a flag. */

#include <stdio.h>
#include <string.h>

#include "base/util.h"

enum option_kind { OPTION_FLAG, OPTION_TEXT, OPTION_LIST, OPTION_HELP };

struct option {
	const char *name;
	enum option_kind kind;
	size_t offset;
	const char *help; /* NULL: another spelling of the one before */
};

#define AT(field) offsetof(struct torchserve_options, field)

static const struct option options[] = {
	{ "-h", OPTION_HELP, 0, NULL },
	{ "--help", OPTION_HELP, 0, "print this text" },
	{ "-v", OPTION_FLAG, AT(version), NULL },
	{ "--version", OPTION_FLAG, AT(version), "print the version" },
	{ "--start", OPTION_FLAG, AT(start), "start the server" },
	{ "--stop", OPTION_FLAG, AT(stop), "stop the server" },
	{ "--ts-config", OPTION_TEXT, AT(config), "configuration file" },
	{ "--model-store", OPTION_TEXT, AT(model_store), "folder of model archives" },
	{ "--workflow-store", OPTION_TEXT, AT(workflow_store), "folder of workflow archives" },
	{ "--models", OPTION_LIST, 0, "models to load: all, or [name=]archive ..." },
	{ "--log-config", OPTION_TEXT, AT(log_config), "accepted, without effect" },
	{ "--cpp-log-config", OPTION_TEXT, AT(cpp_log_config), "accepted, without effect" },
	{ "--foreground", OPTION_FLAG, AT(foreground), "do not go into the background" },
	{ "--no-config-snapshots", OPTION_FLAG, AT(no_snapshots),
	  "do not store configuration snapshots" },
	{ "--ncs", OPTION_FLAG, AT(no_snapshots), NULL },
	{ "--plugins-path", OPTION_TEXT, AT(plugins_path), "accepted, without effect" },
	{ "--ppath", OPTION_TEXT, AT(plugins_path), NULL },
	{ "--disable-token-auth", OPTION_FLAG, AT(disable_token_auth), "do not ask for keys" },
	{ "--dt", OPTION_FLAG, AT(disable_token_auth), NULL },
	{ "--enable-model-api", OPTION_FLAG, AT(enable_model_api),
	  "allow models to be registered" },
};

static int option_usage(const char *fmt, const char *what)
{
	fputs("usage: torchserve [--start | --stop] [--model-store DIR] [--models M [M ...]] "
	      "[--ts-config FILE]\n                  [--foreground] [--ncs] [--disable-token-auth] "
	      "[--enable-model-api] [--version] [--help]\ntorchserve: error: ",
	      stderr);
	fprintf(stderr, fmt, what);
	fputc('\n', stderr);
	return 2;
}

static int option_help(void)
{
	puts("usage: torchserve [options]\n\noptions:");
	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		if (options[i].help)
			printf("  %-24s %s\n", options[i].name, options[i].help);
	return 0;
}

/* Exact, or the beginning of just one. NULL and *ret_many otherwise. */
static const struct option *option_find(struct slice name, bool *ret_many)
{
	const struct option *found = NULL;

	*ret_many = false;
	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		if (slice_eq(slice_str(options[i].name), name))
			return &options[i];
	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		if (name.n < 3 || !slice_starts(slice_str(options[i].name), name))
			continue;
		if (found && (found->offset != options[i].offset || found->kind != options[i].kind))
			*ret_many = true;
		found = &options[i];
	}
	return *ret_many ? NULL : found;
}

static void option_add_model(struct torchserve_options *o, const char *model)
{
	if (o->models.n)
		buf_putc(&o->models, ',');
	buf_puts(&o->models, slice_ieq(slice_str(model), SLICE("all")) ? "all" : model);
}

/* Returns how many arguments were used, or 0 after an error. */
static int option_take(struct torchserve_options *o, const struct option *k,
		       struct slice inline_value, int left, char **argv)
{
	char *at = (char *)o + k->offset;
	const char *text = inline_value.p                  ? inline_value.p
			   : left > 1 && argv[1][0] != '-' ? argv[1]
							   : NULL;
	int used = 1;

	if (k->kind == OPTION_FLAG) {
		if (inline_value.p)
			return option_usage("argument %s: takes no value", k->name), 0;
		memcpy(at, &(bool){ true }, sizeof(bool));
		return 1;
	}
	if (!text)
		return option_usage("argument %s: expected a value", k->name), 0;
	if (k->kind == OPTION_TEXT) {
		memcpy(at, &text, sizeof(text));
		return inline_value.p ? 1 : 2;
	}
	if (inline_value.p) {
		option_add_model(o, text);
		return 1;
	}
	while (used < left && argv[used][0] != '-')
		option_add_model(o, argv[used++]);
	return used;
}

int torchserve_parse(struct torchserve_options *o, int argc, char **argv)
{
	*o = (struct torchserve_options){ .models = BUF_INIT(65536) };
	for (int i = 1; i < argc;) {
		struct slice value = slice_str(argv[i]), name = slice_cut(&value, '=');
		const struct option *k;
		bool many;
		int used;

		k = option_find(name, &many);
		if (many)
			return option_usage("ambiguous option: %s", argv[i]);
		if (!k)
			return option_usage("unrecognized arguments: %s", argv[i]);
		if (k->kind == OPTION_HELP)
			return option_help();
		used = option_take(o, k, value, argc - i, argv + i);
		if (!used)
			return 2;
		i += used;
	}
	if (o->start && o->stop)
		return option_usage("argument %s: not allowed with argument --start", "--stop");
	return -1;
}

void torchserve_options_finish(struct torchserve_options *o)
{
	buf_finish(&o->models);
}
