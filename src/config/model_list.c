/* SPDX-License-Identifier: Apache-2.0 */
#include "config/model_list.h"

#include <errno.h>
#include <stdarg.h>

#include "base/guess.h"
#include "wire/json.h"
#include "wire/lenient.h"

#define WORKERS_MAX 100000
#define SECONDS_MAX INT32_MAX
#define STRICT_MAX ((size_t)8 << 20)
#define LENIENT (YYJSON_READ_ALLOW_TRAILING_COMMAS | YYJSON_READ_ALLOW_COMMENTS)

static const struct {
	const char *name;
	size_t offset;
	int64_t min, max;
} numbers[] = {
	{ "minWorkers", offsetof(struct model_parameters, min_workers), 0, WORKERS_MAX },
	{ "maxWorkers", offsetof(struct model_parameters, max_workers), 0, WORKERS_MAX },
	{ "batchSize", offsetof(struct model_parameters, batch_size), 1, INT32_MAX },
	{ "maxBatchDelay", offsetof(struct model_parameters, max_batch_delay_ms), 0, INT32_MAX },
	{ "responseTimeout", offsetof(struct model_parameters, response_timeout_s), 0,
	  SECONDS_MAX },
	{ "startupTimeout", offsetof(struct model_parameters, startup_timeout_s), 0, SECONDS_MAX },
	{ "parallelLevel", offsetof(struct model_parameters, parallel_level), 0, WORKERS_MAX },
	{ "latencyGoalMs", offsetof(struct model_parameters, latency_goal_ms), 0, INT32_MAX },
};

struct model_list_reader {
	struct model_list *list;
	enum model_list_kind kind;
	struct buf *why;
	struct buf *doubts; /* NULL: nobody asks */
};

static const struct {
	const char *name;
	size_t offset;
} texts[] = {
	{ "marName", offsetof(struct model_entry, mar_name) },
	{ "modelUrl", offsetof(struct model_entry, url) },
	{ "handler", offsetof(struct model_entry, handler) },
	{ "runtimeType", offsetof(struct model_entry, runtime) },
};

/* ---- reading ---- */

static void put_place(struct buf *out, const struct model_entry *e, const char *key)
{
	buf_printf(out, "model %.100s, version %.100s: %.100s", e->model.p, e->version.p, key);
}

/* The value as JSON, not too much of it. */
static void put_value(struct buf *out, yyjson_val *v)
{
	_cleanup_(freep) char *text = v ? yyjson_val_write(v, 0, NULL) : NULL;

	if (text)
		buf_printf(out, "%.60s is not accepted; ", text);
}

static int refuse(struct model_list_reader *r, const struct model_entry *e, const char *key,
		  yyjson_val *v, const char *allowed)
{
	put_place(r->why, e, key);
	buf_puts(r->why, ": ");
	put_value(r->why, v);
	buf_printf(r->why, "allowed: %s", allowed);
	return -EINVAL;
}

static void doubt(struct model_list_reader *r, const struct model_entry *e, const char *key,
		  const char *fmt, ...) _printf_(4, 5);

static void doubt(struct model_list_reader *r, const struct model_entry *e, const char *key,
		  const char *fmt, ...)
{
	_cleanup_(buf_finish) struct buf line = BUF_INIT(1024);
	va_list ap;
	char text[256];

	if (!r->doubts)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	put_place(&line, e, key);
	buf_printf(&line, ": %s", text);
	/* Names come from the file: nothing that ends the line or that a terminal would obey. */
	for (size_t i = 0; i < line.n; i++)
		if ((unsigned char)line.p[i] < 0x20 || line.p[i] == 0x7f)
			line.p[i] = '?';
	buf_put_slice(r->doubts, buf_slice(&line));
	buf_putc(r->doubts, '\n');
}

static int read_number(struct model_list_reader *r, struct model_entry *e, yyjson_val *from,
		       size_t i)
{
	int64_t *to = (int64_t *)((char *)&e->parameters + numbers[i].offset);
	yyjson_val *v = yyjson_obj_get(from, numbers[i].name);
	char allowed[64];

	*to = -1;
	if (!v)
		return 0;
	if (json_i64(from, numbers[i].name, to) && *to >= numbers[i].min && *to <= numbers[i].max)
		return 0;
	snprintf(allowed, sizeof(allowed), "%lld..%lld", (long long)numbers[i].min,
		 (long long)numbers[i].max);
	return refuse(r, e, numbers[i].name, v, allowed);
}

/* The setting `models` has no models without workers, as in TorchServe. */
static void settle_workers(struct model_list_reader *r, struct model_entry *e)
{
	struct model_parameters *p = &e->parameters;

	if (p->min_workers == 0) {
		doubt(r, e, "minWorkers", "0 counts as 1");
		p->min_workers = 1;
	}
	if (p->max_workers == 0) {
		doubt(r, e, "maxWorkers", "0 counts as minWorkers");
		p->max_workers = -1;
	}
	if (p->max_workers > 0 && p->min_workers < 0)
		p->min_workers = 1;
	if (p->max_workers >= 0 && p->max_workers < p->min_workers) {
		doubt(r, e, "maxWorkers", "%lld is less than minWorkers and counts as %lld",
		      (long long)p->max_workers, (long long)p->min_workers);
		p->max_workers = p->min_workers;
	}
}

static bool known_member(const char *name)
{
	if (strcmp(name, "defaultVersion") == 0)
		return true;
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		if (strcmp(name, numbers[i].name) == 0)
			return true;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (strcmp(name, texts[i].name) == 0)
			return true;
	return false;
}

/* The member that was meant, or NULL. */
static const char *nearest_member(const char *name)
{
	struct guess g = guess_begin(slice_str(name));
	const char *best = NULL;

	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		if (guess_next(&g, slice_str(numbers[i].name)))
			best = numbers[i].name;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (guess_next(&g, slice_str(texts[i].name)))
			best = texts[i].name;
	return guess_next(&g, SLICE("defaultVersion")) ? "defaultVersion" : best;
}

static void doubt_members(struct model_list_reader *r, const struct model_entry *e,
			  yyjson_val *from)
{
	yyjson_val *key, *value;
	size_t i, n;

	yyjson_obj_foreach(from, i, n, key, value)
	{
		const char *name = yyjson_get_str(key), *near;

		if (known_member(name))
			continue;
		near = nearest_member(name);
		doubt(r, e, name, "is not known and has no effect%s%s%s",
		      near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
	}
}

static int read_text(struct model_list_reader *r, struct model_entry *e, yyjson_val *from, size_t i)
{
	yyjson_val *v = yyjson_obj_get(from, texts[i].name);
	struct slice s = slice_make(yyjson_get_str(v), yyjson_get_len(v));

	if (!v)
		return 0;
	if (!yyjson_is_str(v) || !s.n || memchr(s.p, 0, s.n))
		return refuse(r, e, texts[i].name, v, "text");
	s = region_copy(&r->list->region, s);
	memcpy((char *)e + texts[i].offset, &s, sizeof(s));
	return 0;
}

static bool known_runtime(struct slice s)
{
	return !s.p || slice_eq(s, SLICE("python")) || slice_eq(s, SLICE("python3")) ||
	       slice_eq(s, SLICE("LSP"));
}

static int read_entry(struct model_list_reader *r, struct model_entry *e, yyjson_val *from)
{
	int result = 0;

	if (!yyjson_is_obj(from))
		return refuse(r, e, "its parameters", from, "an object");
	for (size_t i = 0; i < ARRAY_LEN(numbers) && !result; i++)
		result = read_number(r, e, from, i);
	for (size_t i = 0; i < ARRAY_LEN(texts) && !result; i++)
		result = read_text(r, e, from, i);
	if (result)
		return result;
	if (yyjson_obj_get(from, "defaultVersion") &&
	    !json_bool(from, "defaultVersion", &e->is_default))
		return refuse(r, e, "defaultVersion", yyjson_obj_get(from, "defaultVersion"),
			      "true|false");
	if (!known_runtime(e->runtime))
		return refuse(r, e, "runtimeType", yyjson_obj_get(from, "runtimeType"),
			      "python|python3|LSP");
	if (r->kind == MODEL_LIST_SNAPSHOT && !e->mar_name.p)
		return refuse(r, e, "marName", NULL, "the archive's file name");
	if (r->kind == MODEL_LIST_MODELS)
		settle_workers(r, e);
	doubt_members(r, e, from);
	return 0;
}

static struct slice key_of(struct model_list_reader *r, yyjson_val *key)
{
	return region_copy(&r->list->region, slice_make(yyjson_get_str(key), yyjson_get_len(key)));
}

static int read_versions(struct model_list_reader *r, struct slice model, yyjson_val *versions)
{
	yyjson_val *key, *value;
	size_t i, n;

	if (!yyjson_is_obj(versions)) {
		buf_printf(r->why, "model %.100s: its versions must be an object", model.p);
		return -EINVAL;
	}
	yyjson_obj_foreach(versions, i, n, key, value)
	{
		struct model_entry *e = &r->list->entries[r->list->n];
		int result;

		e->model = model;
		e->version = key_of(r, key);
		result = read_entry(r, e, value);
		if (result)
			return result;
		r->list->n++;
	}
	return 0;
}

static size_t count_versions(yyjson_val *models)
{
	yyjson_val *key, *value;
	size_t i, n, all = 0;

	yyjson_obj_foreach(models, i, n, key, value) all += yyjson_obj_size(value);
	return all;
}

static int read_models(struct model_list_reader *r, yyjson_val *models)
{
	size_t all = count_versions(models), i, n;
	yyjson_val *key, *value;

	if (!yyjson_is_obj(models) || all > MODEL_LIST_MAX) {
		buf_printf(r->why, "must be an object of at most %d versions of models",
			   MODEL_LIST_MAX);
		return -EINVAL;
	}
	r->list->entries = region_alloc(&r->list->region, (all + 1) * sizeof(struct model_entry));
	yyjson_obj_foreach(models, i, n, key, value)
	{
		int result = read_versions(r, key_of(r, key), value);

		if (result)
			return result;
	}
	return 0;
}

/* A snapshot that says how many models it has must have them. */
static int check_count(struct model_list_reader *r, yyjson_val *root, yyjson_val *models)
{
	int64_t count;

	if (!yyjson_obj_get(root, "modelCount"))
		return 0;
	if (json_i64(root, "modelCount", &count) &&
	    (count == (int64_t)yyjson_obj_size(models) || count == (int64_t)r->list->n))
		return 0;
	buf_puts(r->why, "modelCount is not the number of models");
	return -EINVAL;
}

static int read_root(struct model_list_reader *r, yyjson_val *root)
{
	yyjson_val *models = r->kind == MODEL_LIST_MODELS ? root : yyjson_obj_get(root, "models");
	int result = read_models(r, models);

	return result || r->kind == MODEL_LIST_MODELS ? result : check_count(r, root, models);
}

static yyjson_doc *read_lenient(struct slice json, struct buf *why)
{
	_cleanup_(buf_finish) struct buf strict = BUF_INIT(STRICT_MAX);
	yyjson_read_err err;
	yyjson_doc *doc = yyjson_read_opts((char *)(uintptr_t)json.p, json.n, LENIENT, NULL, &err);

	if (!doc && lenient_rewrite(json, &strict))
		doc = yyjson_read(strict.p, strict.n, LENIENT);
	if (!doc)
		buf_printf(why, "is not JSON: %s at byte %zu", err.msg, err.pos);
	return doc;
}

int model_list_parse(struct model_list *l, enum model_list_kind kind, struct slice json,
		     struct buf *why, struct buf *doubts)
{
	struct model_list_reader r = { .list = l, .kind = kind, .why = why, .doubts = doubts };
	yyjson_doc *doc;
	int result;

	*l = (struct model_list){ 0 };
	region_init(&l->region);
	if (!json.n)
		return 0;
	doc = read_lenient(json, why);
	if (!doc && kind == MODEL_LIST_MODELS)
		buf_puts(why, "; archives to load are named by load_models");
	if (!doc)
		return -EINVAL;
	result = read_root(&r, yyjson_doc_get_root(doc));
	yyjson_doc_free(doc);
	return result;
}

void model_list_finish(struct model_list *l)
{
	region_finish(&l->region);
	*l = (struct model_list){ 0 };
}

const struct model_entry *model_list_find(const struct model_list *l, struct slice model,
					  struct slice version)
{
	for (size_t i = 0; i < l->n; i++)
		if (slice_eq(l->entries[i].model, model) &&
		    slice_eq(l->entries[i].version, version))
			return &l->entries[i];
	return NULL;
}

/* ---- writing ---- */

static void write_entry(struct buf *out, const struct model_entry *e)
{
	json_put_string(out, e->version);
	buf_printf(out, ":{\"defaultVersion\":%s", e->is_default ? "true" : "false");
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct slice s;

		memcpy(&s, (const char *)e + texts[i].offset, sizeof(s));
		if (!s.n)
			continue;
		buf_printf(out, ",\"%s\":", texts[i].name);
		json_put_string(out, s);
	}
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		int64_t v;

		memcpy(&v, (const char *)&e->parameters + numbers[i].offset, sizeof(v));
		if (v >= 0)
			buf_printf(out, ",\"%s\":%lld", numbers[i].name, (long long)v);
	}
	buf_putc(out, '}');
}

static bool begins_model(const struct model_entry *entries, size_t i)
{
	return !i || !slice_eq(entries[i].model, entries[i - 1].model);
}

void model_list_write_snapshot(struct buf *out, const char *name, uint64_t created_ms,
			       const struct model_entry *entries, size_t n)
{
	size_t models = 0;

	for (size_t i = 0; i < n; i++)
		models += begins_model(entries, i);
	buf_puts(out, "{\"name\":");
	json_put_string(out, slice_str(name));
	buf_printf(out, ",\"modelCount\":%zu,\"created\":%llu,\"models\":{", models,
		   (unsigned long long)created_ms);
	for (size_t i = 0; i < n; i++) {
		if (begins_model(entries, i)) {
			buf_puts(out, i ? "}," : "");
			json_put_string(out, entries[i].model);
			buf_puts(out, ":{");
		} else {
			buf_putc(out, ',');
		}
		write_entry(out, &entries[i]);
	}
	buf_puts(out, n ? "}}}" : "}}");
}
