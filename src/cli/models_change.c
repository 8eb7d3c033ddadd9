/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/models.h"

/* The commands of `sconce models` that change something. They wait until it is done, and show on a
 * terminal how far it is. */

#include <stdio.h>

#include "base/util.h"
#include "cli/models_progress.h"
#include "cli/printable.h"

#define ROW(name_, kind_, field, value_, help_, ...)                                               \
	{                                                                                          \
		.name = name_, .kind = kind_, .offset = MODELS_AT(field), .value = value_,         \
		.help = help_, __VA_ARGS__                                                         \
	}
#define MODEL_ROW                                                                                  \
	ROW("MODEL", OPTION_OPERAND, model, "MODEL", MODELS_OPERAND_HELP, .required = true)
#define VERSION_ROW(help_) ROW("--version", OPTION_TEXT, version, "VERSION", help_)
#define BACKGROUND_ROW                                                                             \
	ROW("--async", OPTION_FLAG, background, NULL, "do not wait until the workers are ready")

#define COMMAND(command, name, about_)                                                             \
	const struct options models_##command##_command = {                                        \
		.program = "sconce models " name,                                                  \
		.about = about_,                                                                   \
		.rows = command##_rows,                                                            \
		.stray = MODELS_STRAY,                                                             \
		.n = ARRAY_LEN(command##_rows),                                                    \
	}

static const struct option register_rows[] = {
	ROW("ARCHIVE", OPTION_OPERAND, archive, "ARCHIVE",
	    "archive in the server's model store, or the URL of one", .required = true),
	ROW("--name", OPTION_TEXT, name, "NAME", "name of the model (default: the archive's)"),
	ROW("--workers", OPTION_TEXT, workers, "N", "workers to start (default: 1)"),
	ROW("--batch-size", OPTION_TEXT, batch_size, "N", "largest batch"),
	ROW("--max-batch-delay", OPTION_TEXT, max_batch_delay, "N",
	    "milliseconds that a batch waits to fill"),
	ROW("--latency-goal-ms", OPTION_TEXT, latency_goal, "N",
	    "milliseconds in which answers should begin"),
	ROW("--response-timeout", OPTION_TEXT, response_timeout, "N", "seconds to answer"),
	ROW("--startup-timeout", OPTION_TEXT, startup_timeout, "N", "seconds to start"),
	ROW("--handler", OPTION_TEXT, handler, "HANDLER", "instead of the archive's"),
	ROW("--runtime", OPTION_TEXT, runtime, "python|python3|LSP", "instead of the archive's"),
	BACKGROUND_ROW,
	MODELS_ROWS,
};
COMMAND(register, "register", "Loads an archive and starts its workers.");

static const struct option scale_rows[] = {
	MODEL_ROW,
	ROW("WORKERS", OPTION_OPERAND, workers, "N", "workers to run", .required = true),
	VERSION_ROW("of this version, not the default one"),
	ROW("--max-workers", OPTION_TEXT, max_workers, "N", "at most so many (default: WORKERS)"),
	BACKGROUND_ROW,
	MODELS_ROWS,
};
COMMAND(scale, "scale", "Changes the number of a model's workers.");

static const struct option set_default_rows[] = {
	MODEL_ROW,
	VERSION_ROW("the version"),
	MODELS_ROWS,
};
COMMAND(set_default, "set-default", "Chooses the version that calls without one get.");

static const struct option unregister_rows[] = {
	MODEL_ROW,
	VERSION_ROW("this version only (default: the default one)"),
	MODELS_ROWS,
};
COMMAND(unregister, "unregister", "Unloads a model, or one of its versions.");

static const struct option token_rows[] = {
	ROW("TYPE", OPTION_OPERAND, type, "management|inference", "which (default: management)"),
	MODELS_ROWS,
};
COMMAND(token, "token",
	"Replaces a token that has expired: the server writes the new one into its\n"
	"key file. --token is the API key here.");

/* The server's sentence, or all it said. */
static int change_print(const struct client *c, const struct models_args *a)
{
	yyjson_doc *doc = a->json ? NULL : yyjson_read(c->body.p, c->body.n, 0);
	const char *status = yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(doc), "status"));

	if (status) {
		printable_print(stdout, status);
		putchar('\n');
	} else {
		printable_document(stdout, buf_slice(&c->body));
	}
	yyjson_doc_free(doc);
	return CLIENT_OK;
}

/* Calls, with progress of `watched` (NULL: without), and finishes the client. */
static int change_call(struct client *c, const struct models_args *a, const char *method,
		       struct buf *target, const char *watched)
{
	struct models_progress p;
	int r;

	models_progress_begin(&p, c, watched);
	r = client_call(c, method, buf_cstr(target));
	models_progress_end(&p);
	if (!r)
		r = change_print(c, a);
	client_finish(c);
	return r;
}

/* "http://host/resnet-v1.mar?x" is registered as something like "resnet-v1". */
static char *register_guess(const char *archive)
{
	struct slice name = slice_str(archive), rest = name;

	name = slice_cut(&rest, '?');
	for (ptrdiff_t at; (at = slice_find(name, '/')) >= 0 && (size_t)at + 1 < name.n;)
		name = slice_make(name.p + at + 1, name.n - (size_t)at - 1);
	rest = name;
	return slice_dup(slice_cut(&rest, '.'));
}

int models_register_main(int argc, char **argv)
{
	_cleanup_(buf_finish) struct buf target = BUF_INIT((size_t)1 << 20);
	_cleanup_(freep) char *guess = NULL;
	struct models_args a;
	struct client c;
	int r = models_begin(&models_register_command, &a, &c, argc, argv, 0);

	if (r >= 0)
		return r;
	guess = register_guess(a.archive);
	buf_puts(&target, "/models");
	client_put_query(&c, &target, "url", a.archive);
	client_put_query(&c, &target, "model_name", a.name);
	client_put_query(&c, &target, "initial_workers", a.workers ? a.workers : "1");
	client_put_query(&c, &target, "batch_size", a.batch_size);
	client_put_query(&c, &target, "max_batch_delay", a.max_batch_delay);
	client_put_query(&c, &target, "latency_goal_ms", a.latency_goal);
	client_put_query(&c, &target, "response_timeout", a.response_timeout);
	client_put_query(&c, &target, "startup_timeout", a.startup_timeout);
	client_put_query(&c, &target, "handler", a.handler);
	client_put_query(&c, &target, "runtime", a.runtime);
	client_put_query(&c, &target, "synchronous", a.background ? "false" : "true");
	return change_call(&c, &a, "POST", &target, a.name ? a.name : guess);
}

int models_scale_main(int argc, char **argv)
{
	_cleanup_(buf_finish) struct buf target = BUF_INIT(65536);
	struct models_args a;
	struct client c;
	int r = models_begin(&models_scale_command, &a, &c, argc, argv, 0);

	if (r >= 0)
		return r;
	buf_puts(&target, "/models");
	client_put_name(&c, &target, a.model);
	client_put_name(&c, &target, a.version);
	client_put_query(&c, &target, "min_worker", a.workers);
	client_put_query(&c, &target, "max_worker", a.max_workers);
	client_put_query(&c, &target, "synchronous", a.background ? "false" : "true");
	return change_call(&c, &a, "PUT", &target, a.model);
}

int models_set_default_main(int argc, char **argv)
{
	_cleanup_(buf_finish) struct buf target = BUF_INIT(65536);
	struct models_args a;
	struct client c;
	int r = models_begin(&models_set_default_command, &a, &c, argc, argv, 30);

	if (r >= 0)
		return r;
	if (!a.version) {
		client_finish(&c);
		return options_error(&models_set_default_command,
				     "the version is missing: MODEL:VERSION, or --version VERSION");
	}
	buf_puts(&target, "/models");
	client_put_name(&c, &target, a.model);
	client_put_name(&c, &target, a.version);
	buf_puts(&target, "/set-default");
	return change_call(&c, &a, "PUT", &target, NULL);
}

int models_unregister_main(int argc, char **argv)
{
	_cleanup_(buf_finish) struct buf target = BUF_INIT(65536);
	struct models_args a;
	struct client c;
	int r = models_begin(&models_unregister_command, &a, &c, argc, argv, 0);

	if (r >= 0)
		return r;
	buf_puts(&target, "/models");
	client_put_name(&c, &target, a.model);
	client_put_name(&c, &target, a.version);
	return change_call(&c, &a, "DELETE", &target, NULL);
}

int models_token_main(int argc, char **argv)
{
	_cleanup_(buf_finish) struct buf target = BUF_INIT(65536);
	struct models_args a;
	struct client c;
	int r = models_begin(&models_token_command, &a, &c, argc, argv, 30);

	if (r >= 0)
		return r;
	buf_puts(&target, "/token");
	client_put_query(&c, &target, "type", a.type ? a.type : "management");
	r = client_call(&c, "GET", buf_cstr(&target));
	if (!r)
		printf("The server's key file has a new %s key.\n", a.type ? a.type : "management");
	client_finish(&c);
	return r;
}
