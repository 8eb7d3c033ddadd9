/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/models.h"

/* What was asked for is not there: which name is like it, which names there are. */

#include <stdio.h>
#include <string.h>

#include "cli/printable.h"

#define MISSING_DISTANCE 3
#define MISSING_NAMES_MAX 10
#define MISSING_PAGES_MAX 100

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

/* The name on a page of the list that is most like `name`, if it is nearer than *least. */
static void missing_compare(yyjson_val *models, const char *name, unsigned *least, struct buf *best)
{
	yyjson_val *model;
	size_t i, n;

	yyjson_arr_foreach(models, i, n, model)
	{
		const char *there = missing_text(model, "modelName");
		unsigned d = slice_distance(slice_str(name), slice_str(there));

		if (d >= *least)
			continue;
		*least = d;
		buf_clear(best);
		buf_puts(best, there);
	}
}

static void missing_model(struct client *c, const char *name)
{
	_cleanup_(buf_finish) struct buf target = BUF_INIT(65536), best = BUF_INIT(65536);
	/* Of a short name all is like all. */
	unsigned least = (unsigned)MIN(strlen(name), (size_t)MISSING_DISTANCE);
	bool any = false;

	buf_puts(&target, "/models?limit=100");
	for (unsigned page = 0; page < MISSING_PAGES_MAX && target.n; page++) {
		yyjson_doc *doc = missing_ask(c, &target);
		yyjson_val *root = yyjson_doc_get_root(doc);
		const char *next = missing_text(root, "nextPageToken");

		any |= yyjson_arr_size(yyjson_obj_get(root, "models")) > 0;
		missing_compare(yyjson_obj_get(root, "models"), name, &least, &best);
		buf_clear(&target);
		if (*next) {
			buf_puts(&target, "/models?limit=100");
			client_put_query(c, &target, "next_page_token", next);
		}
		yyjson_doc_free(doc);
	}
	if (best.n)
		printable_printf(stderr, "Did you mean '%s'?\n", buf_cstr(&best));
	else if (any)
		fputs("`sconce models list` shows what is there.\n", stderr);
	else
		fputs("There are no models; `sconce models register ARCHIVE` loads one.\n", stderr);
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

void models_missing(struct client *c, const char *type)
{
	const struct models_args *a = c->asked;

	if (a->model && strcmp(type, "ModelVersionNotFoundException") == 0)
		missing_version(c, a->model);
	else if (a->model && strcmp(type, "ModelNotFoundException") == 0)
		missing_model(c, a->model);
	else if (a->archive && strcmp(type, "ModelNotFoundException") == 0)
		fputs("Archives are looked for in the server's model_store; from elsewhere they "
		      "need a URL (http://, file:///).\n",
		      stderr);
	else
		fputs("Is this the server's management_address? --address names another.\n",
		      stderr);
}
