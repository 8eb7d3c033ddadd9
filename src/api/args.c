/* SPDX-License-Identifier: Apache-2.0 */
#include "api/args.h"

#include <errno.h>

#include "wire/json.h"
#include "wire/lenient.h"

#define ARGS_JSON_MAX ((size_t)1 << 20)

static void args_add(struct args *a, struct call *c, struct slice name, struct slice value)
{
	struct slice *kept;

	if (map_get(&a->values, name))
		return;
	kept = region_new(&c->region, struct slice);
	*kept = value;
	map_set(&a->values, name, kept);
}

static int args_read_query(struct args *a, struct call *c)
{
	struct slice rest = c->x->head.query, name, value;
	int r;

	while ((r = http_query_next(&c->region, &rest, &name, &value)) > 0)
		args_add(a, c, name, value);
	if (r < 0)
		call_error(c, 400, "BadRequestException", "The query string has a bad escape.");
	return r;
}

static int args_read_json(struct args *a, struct call *c)
{
	_cleanup_(buf_finish) struct buf strict = BUF_INIT(ARGS_JSON_MAX);
	struct slice body = slice_make(c->body.block.p, c->body.used);
	yyjson_read_err err = { .msg = "it is too long" };
	/* Most of it is as it should be, and that is read much faster. */
	yyjson_doc *doc = yyjson_read(body.p, body.n, 0);

	if (!doc && lenient_rewrite(body, &strict))
		doc = yyjson_read_opts(strict.p, strict.n, 0, NULL, &err);
	if (!yyjson_is_obj(yyjson_doc_get_root(doc))) {
		call_error(c, 400, "BadRequestException", "The JSON body cannot be read: %s.",
			   doc ? "it is not an object" : err.msg);
		yyjson_doc_free(doc);
		return -EINVAL;
	}
	a->json = doc;
	return 0;
}

/* Nobody knows how many members there are, but we ask for few: only those are ever copied. */
static struct slice args_json_text(const struct args *a, struct slice name)
{
	yyjson_val *key, *value, *last = NULL;
	size_t i, n;

	yyjson_obj_foreach(yyjson_doc_get_root(a->json), i, n, key, value)
	{
		if (yyjson_equals_strn(key, name.p, name.n))
			last = value;
	}
	return last ? json_value_text(a->region, last) : SLICE_NULL;
}

int args_read(struct args *a, struct call *c, bool json)
{
	struct slice type = http_media_type(http_head_get(&c->x->head, "content-type"));
	int r;

	*a = (struct args){ .region = &c->region };
	map_init(&a->values);
	if (json && slice_ieq(type, SLICE("application/json")))
		r = args_read_json(a, c);
	else
		r = args_read_query(a, c);
	if (r < 0)
		args_finish(a);
	return r;
}

void args_finish(struct args *a)
{
	map_finish(&a->values);
	yyjson_doc_free(a->json);
	a->json = NULL;
}

struct slice args_text(const struct args *a, const char *name)
{
	const struct slice *s;

	if (a->json)
		return args_json_text(a, slice_str(name));
	s = map_get(&a->values, slice_str(name));
	return s ? *s : SLICE_NULL;
}

int64_t args_integer(const struct args *a, const char *name, int64_t fallback)
{
	int64_t v;

	return slice_i64(args_text(a, name), &v) && v >= INT32_MIN && v <= INT32_MAX ? v : fallback;
}

bool args_bool(const struct args *a, const char *name, bool fallback)
{
	struct slice s = args_text(a, name);

	return s.p ? slice_ieq(s, SLICE("true")) : fallback;
}
