/* SPDX-License-Identifier: Apache-2.0 */
#include "archive/manifest.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "archive/bare.h"
#include "archive/error.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "base/util.h"
#include "wire/json.h"

#define MANIFEST_MAX ((size_t)1 << 20)

#define MANIFEST_FILE "MAR-INF/MANIFEST.json"
#define SHOWN_MAX ((size_t)64) /* of a bad value, in messages */
#define BYTE_ORDER_MARK SLICE("\xef\xbb\xbf")
#define INVALID "InvalidModelException"

static void manifest_defaults(struct manifest *m)
{
	*m = (struct manifest){ .model_version = SLICE("1.0"),
				.runtime = SLICE("python"),
				.manifest_json = SLICE("{}"),
				.config_json = SLICE("{}"),
				.model_name = SLICE(""),
				.handler = SLICE(""),
				.model_file = SLICE(""),
				.serialized_file = SLICE(""),
				.requirements_file = SLICE(""),
				.config_file = SLICE(""),
				.envelope = SLICE(""),
				.device_type = SLICE(""),
				.parallel_type = SLICE(""),
				.batch_mode = SLICE(""),
				.native = SLICE(""),
				.doubts = SLICE("") };
	m->min_workers = m->max_workers = m->batch_size = m->max_batch_delay_ms = -1;
	m->response_timeout_s = m->startup_timeout_s = m->max_retry_timeout_s = -1;
	m->client_timeout_ms = m->job_queue_size = m->parallel_level = -1;
	m->latency_goal_ms = m->serving_threads = -1;
	m->optimized = true;
	m->sequence_max_idle_ms = m->sequence_timeout_ms = -1;
	m->max_num_sequence = m->max_sequence_job_queue_size = -1;
	m->torchrun_nodes = m->torchrun_node_rank = m->torchrun_threads = -1;
}

struct slice manifest_name_of(struct region *r, struct slice source)
{
	static const char *const endings[] = { ".tar.gz", ".tgz", ".mar", ".model", ".zip" };
	const char *slash;
	char *name;

	while (source.n && source.p[source.n - 1] == '/')
		source.n--;
	slash = source.n ? memrchr(source.p, '/', source.n) : NULL;
	if (slash)
		source = slice_make(slash + 1, (size_t)(source.p + source.n - slash - 1));
	for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
		if (!slice_ends(source, slice_str(endings[i])))
			continue;
		source.n -= strlen(endings[i]);
		break;
	}
	source.n -= bare_ending(source).n;
	name = region_strndup(r, source.p, source.n);
	for (size_t i = 0; i < source.n; i++)
		if (!isalnum((unsigned char)name[i]) && (name[i] != '_' || i == 0))
			name[i] = '_';
	return slice_make(name, source.n);
}

bool manifest_name_valid(struct slice name)
{
	uint32_t c;

	if (!name.n || name.n > MANIFEST_NAME_MAX)
		return false;
	while (name.n) {
		size_t n = utf8_char(name, &c);

		if (!n || c < 0x20 || (c >= 0x7f && c < 0xa0) || c == '/' || c == '"' || c == '\\')
			return false;
		name = slice_make(name.p + n, name.n - n);
	}
	return true;
}

static int manifest_text(struct region *r, yyjson_val *model, const char *key, struct slice *to,
			 struct archive_error *err)
{
	yyjson_val *v = yyjson_obj_get(model, key);

	if (!v || yyjson_is_null(v))
		return 0;
	if (!yyjson_is_str(v) && !yyjson_is_num(v))
		return archive_fail(err, 400, INVALID, "MANIFEST.json: model.%s must be a text",
				    key);
	*to = json_text(r, model, key);
	return 0;
}

static int manifest_model(struct region *r, yyjson_val *model, struct manifest *m,
			  struct archive_error *err)
{
	const struct {
		const char *key;
		struct slice *to;
	} texts[] = { { "modelName", &m->model_name },
		      { "modelVersion", &m->model_version },
		      { "handler", &m->handler },
		      { "modelFile", &m->model_file },
		      { "serializedFile", &m->serialized_file },
		      { "requirementsFile", &m->requirements_file },
		      { "configFile", &m->config_file },
		      { "envelope", &m->envelope } };

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (manifest_text(r, model, texts[i].key, texts[i].to, err) < 0)
			return -EINVAL;
	if (!m->model_version.n)
		m->model_version = SLICE("1.0");
	if (!manifest_name_valid(m->model_version))
		return archive_fail(err, 400, INVALID,
				    "MANIFEST.json: model.modelVersion " MANIFEST_NAME_RULE);
	return 0;
}

static int manifest_runtime(struct region *r, yyjson_val *root, struct manifest *m,
			    struct archive_error *err)
{
	struct slice runtime = json_text(r, root, "runtime");

	if (!yyjson_obj_get(root, "runtime"))
		return 0;
	if (!slice_eq(runtime, SLICE("python")) && !slice_eq(runtime, SLICE("python3")) &&
	    !slice_eq(runtime, SLICE("LSP")) && !slice_eq(runtime, BARE_RUNTIME))
		return archive_fail(err, 400, INVALID,
				    "Runtime is not defined or invalid. " MANIFEST_FILE
				    ": runtime is \"%.*s\", and must be python, python3, LSP or "
				    "native",
				    (int)MIN(runtime.n, SHOWN_MAX), runtime.p ? runtime.p : "");
	m->runtime = runtime;
	return 0;
}

/* TorchServe's sentence, and then what is wrong, in which file. */
static int manifest_no_json(const yyjson_read_err *why, bool read, struct archive_error *err)
{
	if (read)
		return archive_fail(err, 400, INVALID,
				    "Failed to parse signature.json. " MANIFEST_FILE
				    ": it must be an object, and its model another");
	return archive_fail(err, 400, INVALID,
			    "Failed to parse signature.json. " MANIFEST_FILE
			    ": no JSON: %s at byte %zu",
			    why->msg, why->pos);
}

static int manifest_json(struct region *r, struct slice json, struct manifest *m,
			 struct archive_error *err)
{
	struct slice text = slice_starts(json, BYTE_ORDER_MARK) ? slice_make(json.p + 3, json.n - 3)
								: json;
	yyjson_read_err why;
	yyjson_doc *doc = yyjson_read_opts((char *)(uintptr_t)text.p, text.n, 0, NULL, &why);
	yyjson_val *root = yyjson_doc_get_root(doc), *model = yyjson_obj_get(root, "model");
	char *compact;
	size_t n;
	int e;

	if (!yyjson_is_obj(root) || (model && !yyjson_is_obj(model))) {
		yyjson_doc_free(doc);
		return manifest_no_json(&why, doc != NULL, err);
	}
	e = manifest_runtime(r, root, m, err);
	if (!e && model)
		e = manifest_model(r, model, m, err);
	compact = yyjson_write(doc, 0, &n);
	if (compact)
		m->manifest_json = region_copy(r, slice_make(compact, n));
	free(compact);
	yyjson_doc_free(doc);
	return e;
}

int manifest_parse(struct region *r, struct slice json, struct slice yaml, struct slice source,
		   struct slice name_hint, struct manifest *ret, struct archive_error *err)
{
	int e = 0;

	manifest_defaults(ret);
	if (json.p)
		e = manifest_json(r, json, ret, err);
	if (e)
		return e;
	if (name_hint.n)
		ret->model_name = region_copy(r, name_hint);
	else if (!json.p)
		return archive_fail(err, 400, INVALID,
				    "Model name is not defined. There is no " MANIFEST_FILE
				    ": pack it (sconce archive), or register it with "
				    "model_name and handler");
	if (!ret->model_name.n)
		ret->model_name = manifest_name_of(r, source);
	if (!manifest_name_valid(ret->model_name))
		return archive_fail(err, 400, INVALID, "The model's name " MANIFEST_NAME_RULE);
	if (yaml.p)
		model_config_apply(r, yaml, ret, err, &e);
	return e;
}

/* SLICE_NULL when there is no such file. */
static int manifest_read_file(struct region *r, const char *dir, const char *name,
			      struct slice *ret, struct archive_error *err)
{
	_cleanup_(freep) char *path = mem_printf("%s/%s", dir, name);
	struct buf b = BUF_INIT(MANIFEST_MAX);
	int e = file_read(path, &b);

	*ret = SLICE_NULL;
	if (!e)
		*ret = region_copy(r, slice_make(b.p ? b.p : "", b.n));
	buf_finish(&b);
	if (e && e != -ENOENT && e != -ENOTDIR)
		return archive_fail(err, 400, INVALID, "%s cannot be read: %s", name,
				    e == -ENOBUFS   ? "it is larger than 1 MiB"
				    : e == -ENOTSUP ? "it is a pipe or a device, not a file"
						    : strerror(-e));
	return 0;
}

int manifest_load(struct region *r, const char *dir, struct slice source, struct slice name_hint,
		  struct manifest *ret, struct archive_error *err)
{
	struct slice json, yaml = SLICE_NULL;
	struct manifest first;
	const char *file;

	if (manifest_read_file(r, dir, "MAR-INF/MANIFEST.json", &json, err) < 0 ||
	    manifest_parse(r, json, SLICE_NULL, source, name_hint, &first, err) < 0)
		return -EINVAL;
	if (first.config_file.n) {
		file = first.config_file.p;
		if (strchr(file, '/') || strcmp(file, "..") == 0)
			return archive_fail(err, 400, INVALID,
					    "MANIFEST.json: configFile must be a file "
					    "name: %.100s",
					    file);
		if (manifest_read_file(r, dir, file, &yaml, err) < 0)
			return -EINVAL;
	}
	return manifest_parse(r, json, yaml, source, name_hint, ret, err);
}

int manifest_load_bare(struct region *r, const char *dir, struct slice file, struct slice source,
		       struct slice name_hint, struct manifest *ret, struct archive_error *err)
{
	_cleanup_(freep) char *config = mem_printf("%.*s.yaml", SLICE_ARG(file));
	struct buf json = BUF_INIT(MANIFEST_MAX);
	struct slice yaml;
	int e;

	if (manifest_read_file(r, dir, bare_ending(file).n ? config : "model-config.yaml", &yaml,
			       err) < 0)
		return -EINVAL;
	buf_printf(&json,
		   "{\"runtime\":\"%.*s\",\"model\":{\"serializedFile\":", SLICE_ARG(BARE_RUNTIME));
	json_put_string(&json, file);
	buf_puts(&json, "}}");
	e = manifest_parse(r, buf_slice(&json), yaml, source, name_hint, ret, err);
	buf_finish(&json);
	return e;
}
