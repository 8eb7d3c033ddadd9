/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* `sconce models`: what its commands share. */

#include "cli/client.h"
#include "cli/options.h"
#include "wire/json.h"

struct models_args {
	/* of every command */
	const char *address, *token, *timeout;
	bool json;
	/* of some */
	bool quiet, background, customized;
	const char *model, *version, *archive, *name, *handler, *runtime, *batch_size,
		*max_batch_delay, *latency_goal, *workers, *max_workers, *response_timeout,
		*startup_timeout, *type;
};

#define MODELS_AT(field) offsetof(struct models_args, field)
#define MODELS_OPERAND_HELP "the model, or MODEL:VERSION"
#define MODELS_STRAY "A version is named MODEL:VERSION, or with --version."

/* The rows that every command ends with. */
#define MODELS_ROWS                                                                                \
	{ "--address",                                                                             \
	  NULL,                                                                                    \
	  OPTION_TEXT,                                                                             \
	  MODELS_AT(address),                                                                      \
	  "URL",                                                                                   \
	  "management address, also unix:PATH (default: management_address of "                    \
	  "config.properties here, or http://127.0.0.1:8081)" },                                   \
		{ "--token",                                                                       \
		  NULL,                                                                            \
		  OPTION_TEXT,                                                                     \
		  MODELS_AT(token),                                                                \
		  "TOKEN",                                                                         \
		  "management key (default: SCONCE_TOKEN, or the server's "                        \
		  "key file)" },                                                                   \
		{ "--timeout",        NULL, OPTION_TEXT,                                           \
		  MODELS_AT(timeout), "N",  "seconds to wait for an answer (0: for ever)" },       \
	{                                                                                          \
		"--json", NULL, OPTION_FLAG, MODELS_AT(json), NULL,                                \
			"print the server's answer as it is"                                       \
	}

extern const struct options models_list_command, models_describe_command, models_register_command,
	models_scale_command, models_set_default_command, models_unregister_command,
	models_token_command;

int models_list_main(int argc, char **argv);
int models_describe_main(int argc, char **argv);
int models_register_main(int argc, char **argv);
int models_scale_main(int argc, char **argv);
int models_set_default_main(int argc, char **argv);
int models_unregister_main(int argc, char **argv);
int models_token_main(int argc, char **argv);

/* Parses and opens the client, which keeps `a`. -1: go on, finish the client; else the exit code.
 * What stands behind the last colon of MODEL is the version, unless --version is given. */
int models_begin(const struct options *o, struct models_args *a, struct client *c, int argc,
		 char **argv, long timeout_s);
/* What to do when the server does not have it: names that there are (models_missing.c). */
void models_missing(struct client *c, const char *type, const char *message);
/* "UNPACKING, 12.5 of 40.0 MiB" of a model that is not there yet, into `out`; empty: it is there.
 */
void models_put_status(struct buf *out, yyjson_val *version);
size_t models_workers_ready(yyjson_val *version);
