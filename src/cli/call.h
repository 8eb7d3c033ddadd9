/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the commands that call a model share: where it is, what is sent to it. */

#include "base/buf.h"
#include "cli/options.h"

#define CALL_FILE_MAX ((size_t)1 << 31)

struct call_args {
	const char *model, *version, *address, *token, *content_type;
};

#define CALL_AT(field) offsetof(struct call_args, field)

/* The rows of such a command. `at`: where its fields have the struct call_args. */
#define CALL_MODEL_ROW(at)                                                                         \
	{                                                                                          \
		"MODEL", NULL, OPTION_OPERAND, (at) + CALL_AT(model), "MODEL",                     \
			"the model, or MODEL:VERSION", .required = true                            \
	}
#define CALL_ROWS(at)                                                                              \
	{ "--version", NULL,                                                                       \
	  OPTION_TEXT, (at) + CALL_AT(version),                                                    \
	  NULL,        "one version (default: the default version)" },                             \
		{ "--content-type",                                                                \
		  NULL,                                                                            \
		  OPTION_TEXT,                                                                     \
		  (at) + CALL_AT(content_type),                                                    \
		  "TYPE",                                                                          \
		  "media type of what is sent (default: application/json for .json, none "         \
		  "for others)" },                                                                 \
		{ "--address",                                                                     \
		  NULL,                                                                            \
		  OPTION_TEXT,                                                                     \
		  (at) + CALL_AT(address),                                                         \
		  "URL",                                                                           \
		  "inference address, also unix:PATH (default: inference_address of "              \
		  "config.properties here, or http://127.0.0.1:8080)" },                           \
	{                                                                                          \
		"--token", NULL, OPTION_TEXT, (at) + CALL_AT(token), "TOKEN",                      \
			"inference key (default: SCONCE_TOKEN, or the server's key file)"          \
	}

/* Reads a file ("-": standard input) that is to be sent. False: it was said why not. */
bool call_read(const char *program, const char *path, struct buf *out);
/* Its media type; NULL: none is said. */
const char *call_media(const struct call_args *a, const char *path);
