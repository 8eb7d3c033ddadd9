/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/torchserve_options.h"

#define AT(field) offsetof(struct torchserve_options, field)

static const struct option rows[] = {
	{ "--version", "-v", OPTION_FLAG, AT(version), NULL, "print the version", .alone = 1 },
	{ "--start", NULL, OPTION_FLAG, AT(start), NULL, "start the server", .alone = 1 },
	{ "--stop", NULL, OPTION_FLAG, AT(stop), NULL, "stop the server", .alone = 1 },
	{ "--ts-config", NULL, OPTION_TEXT, AT(config), "FILE", "configuration file" },
	{ "--model-store", NULL, OPTION_TEXT, AT(model_store), "DIR", "folder of model archives" },
	{ "--workflow-store", NULL, OPTION_TEXT, AT(workflow_store), "DIR",
	  "folder of workflow archives" },
	{ "--models", NULL, OPTION_LIST, AT(models), "ARCHIVE",
	  "models to load: all, or [name=]archive ..." },
	{ "--log-config", NULL, OPTION_TEXT, AT(log_config), "FILE", "accepted, without effect" },
	{ "--cpp-log-config", NULL, OPTION_TEXT, AT(cpp_log_config), "FILE",
	  "accepted, without effect" },
	{ "--foreground", NULL, OPTION_FLAG, AT(foreground), NULL,
	  "do not go into the background" },
	{ "--no-config-snapshots", "--ncs", OPTION_FLAG, AT(no_snapshots), NULL,
	  "do not store configuration snapshots" },
	{ "--plugins-path", "--ppath", OPTION_TEXT, AT(plugins_path), "DIR",
	  "accepted, without effect" },
	{ "--disable-token-auth", "--dt", OPTION_FLAG, AT(disable_token_auth), NULL,
	  "do not ask for keys" },
	{ "--enable-model-api", NULL, OPTION_FLAG, AT(enable_model_api), NULL,
	  "allow models to be registered and unregistered" },
};

const struct options torchserve_command = {
	.program = "torchserve",
	.about = "Starts and stops the server, as TorchServe's users type it.",
	.rows = rows,
	.n = ARRAY_LEN(rows),
};

int torchserve_parse(struct torchserve_options *o, int argc, char **argv)
{
	*o = (struct torchserve_options){ 0 };
	return options_parse(&torchserve_command, o, argc, argv);
}

void torchserve_put_models(const struct torchserve_options *o, struct buf *out)
{
	for (int i = 0; i < o->models.n; i++) {
		struct slice model = slice_str(o->models.values[i]);

		if (i)
			buf_putc(out, ',');
		buf_put_slice(out, slice_ieq(model, SLICE("all")) ? SLICE("all") : model);
	}
}
