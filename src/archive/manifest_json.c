/* SPDX-License-Identifier: Apache-2.0 */
#include "archive/archive.h"

/* How the unpacking child tells the front: the manifest as one JSON object, and back. One table. */

#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "wire/json.h"

enum field_kind { FIELD_TEXT, FIELD_INTEGER, FIELD_BOOL };

#define FIELD(kind, name)                                                                          \
	{                                                                                          \
#name, kind, offsetof(struct manifest, name)                                       \
	}

static const struct {
	const char *name;
	enum field_kind kind;
	size_t offset;
} manifest_fields[] = {
	FIELD(FIELD_TEXT, model_name),
	FIELD(FIELD_TEXT, model_version),
	FIELD(FIELD_TEXT, handler),
	FIELD(FIELD_TEXT, model_file),
	FIELD(FIELD_TEXT, serialized_file),
	FIELD(FIELD_TEXT, requirements_file),
	FIELD(FIELD_TEXT, config_file),
	FIELD(FIELD_TEXT, envelope),
	FIELD(FIELD_TEXT, runtime),
	FIELD(FIELD_TEXT, manifest_json),
	FIELD(FIELD_TEXT, config_json),
	FIELD(FIELD_INTEGER, min_workers),
	FIELD(FIELD_INTEGER, max_workers),
	FIELD(FIELD_INTEGER, batch_size),
	FIELD(FIELD_INTEGER, max_batch_delay_ms),
	FIELD(FIELD_INTEGER, response_timeout_s),
	FIELD(FIELD_INTEGER, startup_timeout_s),
	FIELD(FIELD_INTEGER, max_retry_timeout_s),
	FIELD(FIELD_INTEGER, client_timeout_ms),
	FIELD(FIELD_INTEGER, job_queue_size),
	FIELD(FIELD_INTEGER, parallel_level),
	FIELD(FIELD_INTEGER, sequence_max_idle_ms),
	FIELD(FIELD_INTEGER, sequence_timeout_ms),
	FIELD(FIELD_INTEGER, max_num_sequence),
	FIELD(FIELD_INTEGER, max_sequence_job_queue_size),
	FIELD(FIELD_BOOL, use_job_ticket),
	FIELD(FIELD_BOOL, continuous_batching),
	FIELD(FIELD_BOOL, sequence_batching),
	FIELD(FIELD_BOOL, async_communication),
	FIELD(FIELD_BOOL, use_venv),
	FIELD(FIELD_TEXT, device_type),
	FIELD(FIELD_TEXT, batch_mode),
	FIELD(FIELD_TEXT, native),
	FIELD(FIELD_INTEGER, latency_goal_ms),
	FIELD(FIELD_INTEGER, serving_threads),
	FIELD(FIELD_BOOL, optimized),
	FIELD(FIELD_TEXT, device_ids),
	FIELD(FIELD_INTEGER, torchrun_nodes),
	FIELD(FIELD_INTEGER, torchrun_node_rank),
	FIELD(FIELD_INTEGER, torchrun_threads),
	FIELD(FIELD_TEXT, torchrun_backend),
	FIELD(FIELD_TEXT, torchrun_endpoint),
	FIELD(FIELD_TEXT, parallel_type),
	FIELD(FIELD_BOOL, has_config),
	FIELD(FIELD_TEXT, doubts),
};

void manifest_write_json(const struct manifest *m, struct buf *out)
{
	for (size_t i = 0; i < ARRAY_LEN(manifest_fields); i++) {
		const char *at = (const char *)m + manifest_fields[i].offset;
		struct slice text;
		int64_t number;

		buf_printf(out, "%s\"%s\":", i ? "," : "{", manifest_fields[i].name);
		if (manifest_fields[i].kind == FIELD_TEXT) {
			memcpy(&text, at, sizeof(text));
			json_put_string(out, text);
		} else if (manifest_fields[i].kind == FIELD_INTEGER) {
			memcpy(&number, at, sizeof(number));
			buf_printf(out, "%lld", (long long)number);
		} else {
			buf_puts(out, *at ? "true" : "false");
		}
	}
	buf_putc(out, '}');
}

static int manifest_read_field(struct region *r, yyjson_val *root, size_t i, struct manifest *m)
{
	char *at = (char *)m + manifest_fields[i].offset;
	const char *name = manifest_fields[i].name;
	struct slice text;
	int64_t number;
	bool flag;

	switch (manifest_fields[i].kind) {
	case FIELD_TEXT:
		text = json_text(r, root, name);
		if (!text.p)
			return -EINVAL;
		memcpy(at, &text, sizeof(text));
		return 0;
	case FIELD_INTEGER:
		if (!json_i64(root, name, &number))
			return -EINVAL;
		memcpy(at, &number, sizeof(number));
		return 0;
	default:
		if (!json_bool(root, name, &flag))
			return -EINVAL;
		memcpy(at, &flag, sizeof(flag));
		return 0;
	}
}

int manifest_read_json(struct region *r, struct slice json, struct manifest *ret)
{
	yyjson_doc *doc = yyjson_read(json.p, json.n, 0);
	yyjson_val *root = yyjson_doc_get_root(doc);
	int e = yyjson_is_obj(root) ? 0 : -EINVAL;

	*ret = (struct manifest){ 0 };
	for (size_t i = 0; i < ARRAY_LEN(manifest_fields) && !e; i++)
		e = manifest_read_field(r, root, i, ret);
	yyjson_doc_free(doc);
	return e ? err_origin(e) : 0;
}
