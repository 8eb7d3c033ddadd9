/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/handlers.h"
#include "api/call.h"
#include "api/html.h"
#include "api/openapi_table.h"
#include "wire/json.h"

/*
 * The API's description of itself: of a whole listener, or of what can be done with one model.
 * Made from a table when somebody asks, which is rare.
 */

#define OPENAPI_MAX ((size_t)1 << 20)

typedef yyjson_mut_val val;

struct openapi {
	yyjson_mut_doc *doc;
	val *paths;
};

static void openapi_begin(struct openapi *o, const char *title, const char *text,
			  const char *version)
{
	val *root, *info;

	o->doc = yyjson_mut_doc_new(NULL);
	root = yyjson_mut_obj(o->doc);
	yyjson_mut_doc_set_root(o->doc, root);
	yyjson_mut_obj_add_str(o->doc, root, "openapi", "3.0.1");
	info = yyjson_mut_obj_add_obj(o->doc, root, "info");
	yyjson_mut_obj_add_strcpy(o->doc, info, "title", title);
	if (text)
		yyjson_mut_obj_add_str(o->doc, info, "description", text);
	yyjson_mut_obj_add_str(o->doc, info, "version", version);
	o->paths = yyjson_mut_obj_add_obj(o->doc, root, "paths");
}

static void openapi_end(struct openapi *o, struct call *c)
{
	struct buf b = BUF_INIT(OPENAPI_MAX);

	json_write_pretty(&b, o->doc);
	yyjson_mut_doc_free(o->doc);
	call_answer(c, 200, NULL, buf_slice(&b));
	buf_finish(&b);
}

static void openapi_add_schema(struct openapi *o, val *to, const struct openapi_schema *s);

static void openapi_add_field(struct openapi *o, val *to, const struct openapi_field *f)
{
	const struct openapi_schema *s = openapi_schema(f->type);
	val *at = yyjson_mut_obj_add_obj(o->doc, to, f->name);

	if (!s) {
		yyjson_mut_obj_add_str(o->doc, at, "type", f->type);
	} else if (f->many) {
		yyjson_mut_obj_add_str(o->doc, at, "type", "array");
		openapi_add_schema(o, yyjson_mut_obj_add_obj(o->doc, at, "items"), s);
	} else {
		openapi_add_schema(o, at, s);
	}
	if (f->text)
		yyjson_mut_obj_add_str(o->doc, at, "description", f->text);
}

/* No schema contains itself, so this ends. */
static void openapi_add_schema(struct openapi *o, val *to, const struct openapi_schema *s)
{
	val *required = yyjson_mut_arr(o->doc), *properties = yyjson_mut_obj(o->doc);

	yyjson_mut_obj_add_str(o->doc, to, "type", s->type);
	if (s->format)
		yyjson_mut_obj_add_str(o->doc, to, "format", s->format);
	if (s->items)
		openapi_add_schema(o, yyjson_mut_obj_add_obj(o->doc, to, "items"),
				   openapi_schema(s->items));
	for (size_t i = 0; i < openapi_fields_n; i++) {
		const struct openapi_field *f = &openapi_fields[i];

		if (strcmp(f->schema, s->name) != 0)
			continue;
		if (f->required)
			yyjson_mut_arr_add_str(o->doc, required, f->name);
		openapi_add_field(o, properties, f);
	}
	if (!yyjson_mut_obj_size(properties))
		return;
	yyjson_mut_obj_add_val(o->doc, to, "required", required);
	yyjson_mut_obj_add_val(o->doc, to, "properties", properties);
}

static void openapi_add_content(struct openapi *o, val *to, const char *name)
{
	const struct openapi_schema *s = openapi_schema(name);
	val *content = yyjson_mut_obj_add_obj(o->doc, to, "content");
	val *media = yyjson_mut_obj_add_obj(o->doc, content, s->media);

	openapi_add_schema(o, yyjson_mut_obj_add_obj(o->doc, media, "schema"), s);
}

static void openapi_add_param(struct openapi *o, val *list, const struct openapi_param *p)
{
	val *param = yyjson_mut_arr_add_obj(o->doc, list), *schema;

	yyjson_mut_obj_add_str(o->doc, param, "in", p->in);
	yyjson_mut_obj_add_str(o->doc, param, "name", p->name);
	yyjson_mut_obj_add_str(o->doc, param, "description", p->text);
	yyjson_mut_obj_add_bool(o->doc, param, "required", p->required);
	schema = yyjson_mut_obj_add_obj(o->doc, param, "schema");
	yyjson_mut_obj_add_str(o->doc, schema, "type", p->type);
	if (p->fallback)
		yyjson_mut_obj_add_str(o->doc, schema, "default", p->fallback);
}

static void openapi_add_answer(struct openapi *o, val *answers, unsigned status, const char *text,
			       const char *schema)
{
	char key[16];
	val *answer;

	snprintf(key, sizeof(key), "%u", status);
	answer = yyjson_mut_obj(o->doc);
	yyjson_mut_obj_add(answers, yyjson_mut_strcpy(o->doc, key), answer);
	yyjson_mut_obj_add_str(o->doc, answer, "description", text);
	if (schema)
		openapi_add_content(o, answer, schema);
}

static val *openapi_path(struct openapi *o, const char *path)
{
	val *found = yyjson_mut_obj_get(o->paths, path), *made;

	if (found)
		return found;
	made = yyjson_mut_obj(o->doc);
	yyjson_mut_obj_add(o->paths, yyjson_mut_strcpy(o->doc, path), made);
	return made;
}

static void openapi_add(struct openapi *o, const struct openapi_operation *op)
{
	struct slice params = slice_str(op->params), others = slice_str(op->others);
	val *at = yyjson_mut_obj_add_obj(o->doc, openapi_path(o, op->path), op->method);
	val *list, *answers, *body;

	yyjson_mut_obj_add_str(o->doc, at, "description", op->text);
	yyjson_mut_obj_add_str(o->doc, at, "operationId", op->id);
	list = yyjson_mut_obj_add_arr(o->doc, at, "parameters");
	while (params.n) {
		struct slice name = slice_cut(&params, ' ');

		openapi_add_param(o, list, openapi_param(name.p, name.n));
	}
	if (op->body) {
		body = yyjson_mut_obj_add_obj(o->doc, at, "requestBody");
		yyjson_mut_obj_add_str(o->doc, body, "description", op->body);
		openapi_add_content(o, body, "any");
		yyjson_mut_obj_add_bool(o->doc, body, "required", true);
	}
	answers = yyjson_mut_obj_add_obj(o->doc, at, "responses");
	openapi_add_answer(o, answers, 200, op->ok, op->schema);
	while (others.n) {
		uint64_t status = 0;
		const struct openapi_answer *a;

		slice_u64(slice_cut(&others, ' '), &status);
		a = openapi_answer((unsigned)status);
		openapi_add_answer(o, answers, a->status, a->text, a->schema);
	}
}

void openapi_listener(struct call *c)
{
	struct openapi o;

	if (html_wanted(c)) {
		page_calls(c);
		return;
	}
	openapi_begin(&o, "TorchServe APIs", "What can be asked of this listener.",
		      API_TORCHSERVE_VERSION);
	for (size_t i = 0; i < openapi_operations_n; i++)
		if (openapi_operations[i].roles & c->door->roles)
			openapi_add(&o, &openapi_operations[i]);
	openapi_end(&o, c);
}

/* TorchServe's document says /prediction, which nothing answers: whoever generates a client from it
 * finds both. */
void openapi_model(struct call *c, struct slice model)
{
	const char *const paths[] = {
		region_printf(&c->region, "/predictions/%.*s", SLICE_ARG(model)),
		region_printf(&c->region, "/prediction/%.*s", SLICE_ARG(model)),
		"/v1/models/{model_name}:predict", "/v2/models/{model_name}/infer"
	};
	char *title = region_printf(&c->region, "RESTful API for: %.*s", SLICE_ARG(model));
	char *text = region_printf(&c->region, "A predict entry point for model: %.*s.",
				   SLICE_ARG(model));
	char *id = region_printf(&c->region, "%.*s", SLICE_ARG(model));
	struct openapi o;

	openapi_begin(&o, title, NULL, "1.0.0");
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		struct openapi_operation op = {
			.path = paths[i],
			.method = "post",
			.id = id,
			.text = text,
			.params = "",
			.ok = "OK",
			.others = "500",
		};

		openapi_add(&o, &op);
	}
	openapi_end(&o, c);
}

void openapi_model_management(struct call *c)
{
	static const char prefix[] = "/models/{model_name}";
	char *title = region_printf(&c->region, "RESTful Management API for: %.*s",
				    SLICE_ARG(c->model));
	struct slice version = c->version_name;
	struct openapi o;

	if (!call_find_version(c, c->model, version))
		return;
	openapi_begin(&o, title, NULL, API_TORCHSERVE_VERSION);
	for (size_t i = 0; i < openapi_operations_n; i++)
		if (strncmp(openapi_operations[i].path, prefix, strlen(prefix)) == 0)
			openapi_add(&o, &openapi_operations[i]);
	openapi_end(&o, c);
}
