/* SPDX-License-Identifier: Apache-2.0 */
#include "torch.h"

/*
 * Torch's description of how arguments and results are nested, JSON: [1, {"type", "context",
 * "children_spec"}]. A leaf has no type, and the keys of a dict are JSON within `context`.
 */

#include <stdio.h>
#include <string.h>

#define DEPTH_MAX 8
#define NAME_MAX_BYTES 256

struct walk {
	const char *root;
	void (*leaf)(void *arg, const char *name);
	void *arg;
};

static const char *type_of(yyjson_val *spec)
{
	const char *type = yyjson_get_str(yyjson_obj_get(spec, "type"));

	return type ? type : "";
}

static void walk_spec(const struct walk *w, yyjson_val *spec, const char *name, int depth);

static void walk_dict(const struct walk *w, yyjson_val *children, yyjson_val *context,
		      const char *name, int depth)
{
	const char *text = yyjson_get_str(context);
	yyjson_doc *keys = yyjson_read(text ? text : "", text ? strlen(text) : 0, 0);
	yyjson_val *child;
	size_t i, n;

	yyjson_arr_foreach(children, i, n, child)
	{
		const char *key = yyjson_get_str(yyjson_arr_get(yyjson_doc_get_root(keys), i));
		char below[NAME_MAX_BYTES];

		if (!key)
			snprintf(below, sizeof(below), "%s_%zu", name, i);
		else if (strcmp(name, w->root) == 0)
			snprintf(below, sizeof(below), "%s", key);
		else
			snprintf(below, sizeof(below), "%s.%s", name, key);
		walk_spec(w, child, below, depth);
	}
	yyjson_doc_free(keys);
}

static void walk_spec(const struct walk *w, yyjson_val *spec, const char *name, int depth)
{
	yyjson_val *children = yyjson_obj_get(spec, "children_spec"), *child;
	char below[NAME_MAX_BYTES];
	size_t i, n;

	if (!*type_of(spec)) {
		w->leaf(w->arg, name);
	} else if (!depth) {
		return;
	} else if (strstr(type_of(spec), "dict")) {
		walk_dict(w, children, yyjson_obj_get(spec, "context"), name, depth - 1);
	} else {
		yyjson_arr_foreach(children, i, n, child)
		{
			snprintf(below, sizeof(below), "%s_%zu", name, i);
			walk_spec(w, child, below, depth - 1);
		}
	}
}

/* Arguments are a tuple of those by place, and a dict of those by name. */
static void walk_arguments(const struct walk *w, yyjson_val *spec)
{
	yyjson_val *both = yyjson_obj_get(spec, "children_spec");
	yyjson_val *places = yyjson_arr_get(both, 0), *names = yyjson_arr_get(both, 1);
	yyjson_val *first = yyjson_arr_get_first(yyjson_obj_get(places, "children_spec"));
	size_t n = yyjson_arr_size(yyjson_obj_get(places, "children_spec"));

	if (n == 1 && !yyjson_arr_size(yyjson_obj_get(names, "children_spec")))
		walk_spec(w, first, w->root, DEPTH_MAX);
	else
		walk_spec(w, places, w->root, DEPTH_MAX);
	walk_spec(w, names, w->root, DEPTH_MAX);
}

void tree_leaves(const char *json, int arguments, const char *root,
		 void (*leaf)(void *arg, const char *name), void *arg)
{
	const struct walk w = { root, leaf, arg };
	yyjson_doc *doc = yyjson_read(json, strlen(json), 0);
	yyjson_val *spec = yyjson_arr_get(yyjson_doc_get_root(doc), 1);

	if (arguments)
		walk_arguments(&w, spec);
	else
		walk_spec(&w, spec, root, DEPTH_MAX);
	yyjson_doc_free(doc);
}
