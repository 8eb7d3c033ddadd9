/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/models.h"

#include <string.h>

#include "base/slice.h"
#include "base/util.h"
#include "cli/cli.h"

static const struct command rows[] = {
	{ "list", models_list_main, "list the models", &models_list_command, NULL },
	{ "describe", models_describe_main, "show a model with its workers",
	  &models_describe_command, NULL },
	{ "register", models_register_main, "load an archive", &models_register_command, NULL },
	{ "scale", models_scale_main, "change the number of workers", &models_scale_command, NULL },
	{ "set-default", models_set_default_main, "choose the version that calls without one get",
	  &models_set_default_command, NULL },
	{ "unregister", models_unregister_main, "unload a model, or one version",
	  &models_unregister_command, NULL },
	{ "token", models_token_main, "replace a token that has expired", &models_token_command,
	  NULL },
};

const struct commands models_commands = {
	.program = "sconce models",
	.about = "Asks a running server for its models, and changes them. Exit code 1: the server\n"
		 "refused, 2: wrong usage, 3: no server answers.",
	.rows = rows,
	.n = ARRAY_LEN(rows),
};

int models_main(int argc, char **argv)
{
	return commands_run(&models_commands, argc, argv);
}

int models_begin(const struct options *o, struct models_args *a, struct client *c, int argc,
		 char **argv, long timeout_s)
{
	struct client_options options = { .key = "management", .timeout_s = timeout_s };
	uint64_t seconds;
	int r;

	*a = (struct models_args){ 0 };
	r = options_parse(o, a, argc, argv);
	if (r >= 0)
		return r;
	/* The text is argv's, which may be written to. */
	if (a->model)
		client_split_model((char *)(uintptr_t)a->model, &a->version);
	options.address = a->address;
	options.token = a->token;
	if (o == &models_token_command)
		options.key = "API";
	if (slice_u64(slice_str(a->timeout), &seconds))
		options.timeout_s = (long)MIN(seconds, (uint64_t)1 << 20);
	r = client_init(c, &options);
	c->missing = models_missing;
	c->asked = a;
	if (r == CLIENT_OK)
		return -1;
	client_finish(c);
	return r;
}
