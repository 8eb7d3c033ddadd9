/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/models.h"

/* What was asked for is not there: which names there are. The server says which is like it. */

#include <stdio.h>
#include <string.h>

#include "cli/printable.h"

#define MISSING_NAMES_MAX 10

static const char *missing_text(yyjson_val *object, const char *key)
{
	const char *text = yyjson_get_str(yyjson_obj_get(object, key));

	return text ? text : "";
}

static yyjson_doc *missing_ask(struct client *c, struct buf *target)
{
	if (client_ask(c, "GET", buf_cstr(target)) || c->status != 200)
		return NULL;
	return yyjson_read(c->body.p, c->body.n, 0);
}

static void missing_model(struct client *c)
{
	_cleanup_(buf_finish) struct buf target = BUF_INIT(256);
	yyjson_doc *doc;

	buf_puts(&target, "/models?limit=1");
	doc = missing_ask(c, &target);
	if (yyjson_arr_size(yyjson_obj_get(yyjson_doc_get_root(doc), "models")))
		fputs("`sconce models list` shows what is there.\n", stderr);
	else
		fputs("There are no models; `sconce models register ARCHIVE` loads one.\n", stderr);
	yyjson_doc_free(doc);
}

static void missing_version(struct client *c, const char *name)
{
	_cleanup_(buf_finish) struct buf target = BUF_INIT(65536), names = BUF_INIT(65536);
	yyjson_val *version;
	yyjson_doc *doc;
	size_t i, n;

	buf_puts(&target, "/models");
	client_put_name(c, &target, name);
	buf_puts(&target, "/all");
	doc = missing_ask(c, &target);
	yyjson_arr_foreach(yyjson_doc_get_root(doc), i, n, version)
	{
		if (i < MISSING_NAMES_MAX)
			buf_printf(&names, "%s%s", i ? ", " : "",
				   missing_text(version, "modelVersion"));
		else if (i == MISSING_NAMES_MAX)
			buf_puts(&names, ", ...");
	}
	if (names.n)
		printable_printf(stderr, "There are: %s.\n", buf_cstr(&names));
	yyjson_doc_free(doc);
}

void models_missing(struct client *c, const char *type, const char *message)
{
	const struct models_args *a = c->asked;

	if (strstr(message, ". Did you mean "))
		return;
	if (a->model && strcmp(type, "ModelVersionNotFoundException") == 0)
		missing_version(c, a->model);
	else if (a->model && strcmp(type, "ModelNotFoundException") == 0)
		missing_model(c);
	else if (a->archive && strcmp(type, "ModelNotFoundException") == 0)
		fputs("Archives are looked for in the server's model_store; from elsewhere they "
		      "need a URL (http://, file:///).\n",
		      stderr);
	else
		fputs("Is this the server's management_address? --address names another.\n",
		      stderr);
}
