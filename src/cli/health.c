/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

/* `sconce health`: is a server there, and do its models answer? For containers, whose health checks
 * would need curl otherwise. */

#include <stdio.h>

#include "base/util.h"
#include "cli/client.h"
#include "cli/printable.h"
#include "wire/json.h"

#define PROGRAM "sconce health"
#define HEALTH_TIMEOUT_S 10

struct health_args {
	const char *address;
	bool live, quiet;
};

#define AT(field) offsetof(struct health_args, field)

static const struct option rows[] = {
	{ "--live", NULL, OPTION_FLAG, AT(live), NULL,
	  "only ask whether the server answers, not whether its models do" },
	{ "--quiet", "-q", OPTION_FLAG, AT(quiet), NULL, "say nothing when all is well" },
	{ "--address", NULL, OPTION_TEXT, AT(address), "URL",
	  "inference address, also unix:PATH (default: inference_address of "
	  "config.properties here, or http://127.0.0.1:8080)" },
};

const struct options health_command = {
	.program = PROGRAM,
	.about = "Asks a running server whether its models answer (/readyz), or only whether it\n"
		 "does (/livez). Needs no key. Exit code 1: no, 2: wrong usage, 3: no server\n"
		 "answers.",
	.rows = rows,
	.n = ARRAY_LEN(rows),
};

static const char *health_text(yyjson_val *object, const char *key)
{
	return yyjson_get_str(yyjson_obj_get(object, key));
}

/* Each model that does not answer, and why not. False: the document does not say. */
static bool health_reasons(yyjson_val *root)
{
	yyjson_val *models = yyjson_obj_get(root, "models"), *model;
	size_t i, n;

	yyjson_arr_foreach(models, i, n, model)
	{
		const char *name = health_text(model, "model");
		const char *version = health_text(model, "version");
		const char *reason = health_text(model, "reason");

		printable_printf(stderr, "%s: %s%s%s: %s\n", PROGRAM, name ? name : "",
				 version ? " " : "", version ? version : "", reason ? reason : "");
	}
	return yyjson_arr_size(models) > 0;
}

static int health_tell(const struct client *c, bool quiet)
{
	yyjson_doc *doc = yyjson_read(c->body.p ? c->body.p : "", c->body.n, 0);
	yyjson_val *root = yyjson_doc_get_root(doc);
	const char *status = health_text(root, "status");
	bool good = c->status == 200 && status;

	if (good && !quiet)
		printable_printf(stdout, "%s\n", status);
	else if (!good && !health_reasons(root))
		printable_printf(stderr, "%s: %s answered %ld: %s\n", PROGRAM, c->address,
				 c->status, status ? status : "this is no sconce");
	yyjson_doc_free(doc);
	return good ? CLIENT_OK : CLIENT_REFUSED;
}

int health_main(int argc, char **argv)
{
	struct client_options options = { .key = "inference",
					  .timeout_s = HEALTH_TIMEOUT_S,
					  .program = PROGRAM,
					  .inference = true };
	struct health_args a = { 0 };
	struct client c;
	int r = options_parse(&health_command, &a, argc, argv);

	if (r >= 0)
		return r;
	options.address = a.address;
	r = client_init(&c, &options);
	if (!r)
		r = client_ask(&c, "GET", a.live ? "/livez" : "/readyz");
	if (r == CLIENT_SILENT && c.easy)
		printable_printf(stderr, "%s: no answer from %s\n", PROGRAM, c.address);
	else if (!r)
		r = health_tell(&c, a.quiet);
	client_finish(&c);
	return r;
}
