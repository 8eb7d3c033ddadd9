/* SPDX-License-Identifier: Apache-2.0 */
#include "archive/manifest.h"

/* model-config.yaml: the keys the server heeds, by one table; everything goes to the handler as
 * JSON. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "archive/error.h"
#include "base/guess.h"
#include "base/number.h"
#include "base/util.h"
#include "config/yaml.h"
#include "wire/json.h"

#define MODEL_CONFIG_MAX ((size_t)4 << 20)
#define MODEL_CONFIG_IDS_MAX 1024
#define MODEL_CONFIG_DOUBTS_MAX ((size_t)8 << 10)
#define SHOWN_MAX ((size_t)64) /* of a bad value, in messages */
#define FILE_NAME "model-config.yaml"

enum model_config_kind { CONFIG_INTEGER, CONFIG_BOOL, CONFIG_TEXT, CONFIG_IDS };

struct model_config_key {
	const char *key;
	enum model_config_kind kind;
	size_t offset;
	int64_t min;         /* smaller values count as this */
	const char *allowed; /* texts: "cpu|gpu"; NULL: any */
};

/* What reads it. */
struct model_config {
	struct region *region;
	struct manifest *manifest;
	struct buf doubts; /* lines; those that have no room are not said */
};

#define INTEGER(key, field, min)                                                                   \
	{                                                                                          \
		key, CONFIG_INTEGER, offsetof(struct manifest, field), min                         \
	}
#define BOOLEAN(key, field)                                                                        \
	{                                                                                          \
		key, CONFIG_BOOL, offsetof(struct manifest, field), 0                              \
	}
#define TEXT(key, field)                                                                           \
	{                                                                                          \
		key, CONFIG_TEXT, offsetof(struct manifest, field), 0                              \
	}
#define CHOICE(key, field, allowed)                                                                \
	{                                                                                          \
		key, CONFIG_TEXT, offsetof(struct manifest, field), 0, allowed                     \
	}
#define IDS(key, field)                                                                            \
	{                                                                                          \
		key, CONFIG_IDS, offsetof(struct manifest, field), 0                               \
	}

static const struct model_config_key model_config_keys[] = {
	INTEGER("minWorkers", min_workers, 1),
	INTEGER("maxWorkers", max_workers, 1),
	INTEGER("batchSize", batch_size, 1),
	INTEGER("maxBatchDelay", max_batch_delay_ms, 0),
	INTEGER("responseTimeout", response_timeout_s, 0),
	INTEGER("startupTimeout", startup_timeout_s, 0),
	INTEGER("maxRetryTimeoutInSec", max_retry_timeout_s, 0),
	INTEGER("clientTimeoutInMills", client_timeout_ms, 0),
	INTEGER("jobQueueSize", job_queue_size, 0),
	INTEGER("parallelLevel", parallel_level, 0),
	INTEGER("sequenceMaxIdleMSec", sequence_max_idle_ms, 0),
	INTEGER("sequenceTimeoutMSec", sequence_timeout_ms, 0),
	INTEGER("maxNumSequence", max_num_sequence, 1),
	INTEGER("maxSequenceJobQueueSize", max_sequence_job_queue_size, 1),
	BOOLEAN("useJobTicket", use_job_ticket),
	BOOLEAN("continuousBatching", continuous_batching),
	BOOLEAN("sequenceBatching", sequence_batching),
	BOOLEAN("asyncCommunication", async_communication),
	BOOLEAN("useVenv", use_venv),
	BOOLEAN("optimized", optimized),
	CHOICE("batchMode", batch_mode, "adaptive|fixed"),
	CHOICE("native", native, "auto|never|always"),
	INTEGER("latency_goal_ms", latency_goal_ms, 0),
	INTEGER("latencyGoalMs", latency_goal_ms, 0), /* as the others are spelt */
	CHOICE("deviceType", device_type, "cpu|gpu"),
	IDS("deviceIds", device_ids),
	CHOICE("parallelType", parallel_type, "pp|tp|pptp|custom"),
};

/* Under "torchrun". */
static const struct model_config_key model_config_torchrun[] = {
	INTEGER("nnodes", torchrun_nodes, 1),
	INTEGER("node-rank", torchrun_node_rank, 0),
	INTEGER("nproc-per-node", parallel_level, 1),
	INTEGER("OMP_NUMBER_THREADS", torchrun_threads, 1),
	TEXT("rdzv-backend", torchrun_backend),
	TEXT("rdzv-endpoint", torchrun_endpoint),
};

static const char *model_config_kind_name(const struct yaml *v)
{
	return v->kind == YAML_SEQ ? "a list" : v->kind == YAML_MAP ? "a mapping" : NULL;
}

static void model_config_show(struct buf *b, struct slice text)
{
	json_put_string(b, slice_make(text.p, MIN(text.n, SHOWN_MAX)));
}

/* A value of another type is ignored, as in TorchServe; the server's log says so. */
static void model_config_ignored(struct model_config *c, const struct model_config_key *k,
				 const struct yaml *v)
{
	struct buf *b = &c->doubts;

	buf_printf(b, FILE_NAME ": line %u: %s is ignored: it is ", (unsigned)v->line, k->key);
	if (model_config_kind_name(v))
		buf_puts(b, model_config_kind_name(v));
	else
		model_config_show(b, v->text);
	buf_printf(b, ", and must be %s%s\n",
		   k->kind == CONFIG_INTEGER ? "a whole number"
		   : k->kind == CONFIG_BOOL  ? "true or false"
		   : k->kind == CONFIG_IDS   ? "a list of whole numbers"
		   : k->allowed              ? "one of "
					     : "a text",
		   k->allowed ? k->allowed : "");
}

/* Templates write numbers as 1.0, 1e+06 (for YAML 1.1 a text) and "2". */
static bool model_config_integer(const struct yaml *v, int64_t *ret)
{
	if (v->kind == YAML_INT)
		*ret = v->integer;
	return v->kind == YAML_INT ||
	       (v->kind == YAML_FLOAT && number_from_double(v->number, ret)) ||
	       (v->kind == YAML_STRING && number_from_text(v->text, ret));
}

static bool model_config_bool(const struct yaml *v, bool *ret)
{
	struct slice text = v->kind == YAML_STRING ? slice_trim(v->text) : SLICE_NULL;

	*ret = v->kind == YAML_BOOL ? v->boolean : slice_ieq(text, SLICE("true"));
	return v->kind == YAML_BOOL || *ret || slice_ieq(text, SLICE("false"));
}

static bool model_config_allows(const struct model_config_key *k, struct slice text)
{
	struct slice rest = slice_str(k->allowed);

	while (rest.p)
		if (slice_eq(slice_cut(&rest, '|'), text))
			return true;
	return !k->allowed;
}

/* A list of numbers becomes a text with commas. False when it is none. */
static bool model_config_ids(struct region *r, const struct yaml *v, struct slice *ret)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(MODEL_CONFIG_IDS_MAX);
	bool numbers = v->kind == YAML_SEQ;
	int64_t id = 0;

	for (const struct yaml *y = v->child; numbers && y; y = y->next) {
		numbers = model_config_integer(y, &id);
		buf_printf(&text, "%s%lld", text.n ? "," : "", (long long)id);
	}
	if (!numbers || buf_overflowed(&text))
		return false;
	*ret = region_copy(r, buf_slice(&text));
	return true;
}

static int64_t model_config_bounded(struct model_config *c, const struct model_config_key *k,
				    const struct yaml *v, int64_t number)
{
	int64_t bounded = MIN(MAX(number, k->min), INT32_MAX);

	if (bounded != number)
		buf_printf(&c->doubts, FILE_NAME ": line %u: %s: %lld counts as %lld\n",
			   (unsigned)v->line, k->key, (long long)number, (long long)bounded);
	return bounded;
}

static void model_config_set(struct model_config *c, const struct model_config_key *k,
			     const struct yaml *v)
{
	char *at = (char *)c->manifest + k->offset;
	struct region *r = c->region;
	struct slice ids;
	int64_t number;
	bool flag;

	if (k->kind == CONFIG_INTEGER && model_config_integer(v, &number)) {
		number = model_config_bounded(c, k, v, number);
		memcpy(at, &number, sizeof(number));
	} else if (k->kind == CONFIG_BOOL && model_config_bool(v, &flag)) {
		memcpy(at, &flag, sizeof(flag));
	} else if (k->kind == CONFIG_TEXT && v->kind == YAML_STRING &&
		   model_config_allows(k, slice_trim(v->text))) {
		struct slice copy = region_copy(r, slice_trim(v->text));

		memcpy(at, &copy, sizeof(copy));
	} else if (k->kind == CONFIG_IDS && model_config_ids(r, v, &ids)) {
		memcpy(at, &ids, sizeof(ids));
	} else {
		model_config_ignored(c, k, v);
	}
}

static void model_config_read(struct model_config *c, const struct yaml *map,
			      const struct model_config_key *keys, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct yaml *v = yaml_get(map, keys[i].key);

		if (v && v->kind != YAML_NULL)
			model_config_set(c, &keys[i], v);
	}
}

/* As in TorchServe; only together, and in this order, do they say something. */
static void model_config_check_workers(struct model_config *c)
{
	const struct manifest *m = c->manifest;

	if ((m->min_workers < 0 && m->max_workers < 0) ||
	    (m->min_workers >= 0 && m->max_workers >= m->min_workers))
		return;
	buf_printf(&c->doubts, FILE_NAME ": minWorkers and maxWorkers are ignored: %s\n",
		   m->min_workers < 0   ? "there is no minWorkers"
		   : m->max_workers < 0 ? "there is no maxWorkers"
					: "maxWorkers is less than minWorkers");
}

/* Processes are started without a rendezvous, and watched without intervals. */
static void model_config_read_torchrun(struct model_config *c, const struct yaml *map)
{
	size_t n = ARRAY_LEN(model_config_torchrun), heeded = 0, given = 0;

	if (!map || map->kind != YAML_MAP)
		return;
	model_config_read(c, map, model_config_torchrun, n);
	for (size_t i = 0; i < n; i++)
		heeded += yaml_get(map, model_config_torchrun[i].key) != NULL;
	for (const struct yaml *y = map->child; y; y = y->next)
		given++;
	if (given == heeded)
		return;
	buf_puts(&c->doubts, FILE_NAME ": torchrun has keys without effect; heeded are");
	for (size_t i = 0; i < n; i++)
		buf_printf(&c->doubts, "%s %s", i ? "," : "", model_config_torchrun[i].key);
	buf_putc(&c->doubts, '\n');
}

/* Keys that handlers alone know are theirs; one that is nearly one of ours is a slip. */
static void model_config_doubt_key(struct model_config *c, const struct yaml *y)
{
	static const char *const sections[] = { "torchrun", "pipeline", "engine" };
	struct guess g = guess_begin(y->key);
	const char *near = NULL;

	for (size_t i = 0; i < ARRAY_LEN(model_config_keys); i++)
		if (guess_next(&g, slice_str(model_config_keys[i].key)))
			near = model_config_keys[i].key;
	for (size_t i = 0; i < ARRAY_LEN(sections); i++)
		if (guess_next(&g, slice_str(sections[i])))
			near = sections[i];
	if (!near || slice_eq(y->key, slice_str(near)))
		return;
	buf_printf(&c->doubts, FILE_NAME ": line %u: the server knows no ",
		   (unsigned)(y->key_node ? y->key_node->line : y->line));
	model_config_show(&c->doubts, y->key);
	buf_printf(&c->doubts, ", only the handler sees it; did you mean %s?\n", near);
}

static void model_config_heed(struct model_config *c, const struct yaml *root)
{
	model_config_read(c, root, model_config_keys, ARRAY_LEN(model_config_keys));
	model_config_check_workers(c);
	model_config_read_torchrun(c, yaml_get(root, "torchrun"));
	for (const struct yaml *y = root->child; y; y = y->next)
		model_config_doubt_key(c, y);
	c->manifest->doubts = region_copy(c->region, buf_slice(&c->doubts));
}

void model_config_apply(struct region *r, struct slice yaml_text, struct manifest *m,
			struct archive_error *err, int *ret)
{
	struct model_config c = { r, m, BUF_INIT(MODEL_CONFIG_DOUBTS_MAX) };
	struct buf why = BUF_INIT(1024), json = BUF_INIT(MODEL_CONFIG_MAX);
	struct yaml *root;

	m->has_config = true;
	*ret = 0;
	if (yaml_parse(r, yaml_text, &root, &why) < 0)
		*ret = archive_fail(err, 400, "InvalidModelException", FILE_NAME ": %s",
				    buf_cstr(&why));
	else if (root->kind != YAML_MAP && root->kind != YAML_NULL)
		*ret = archive_fail(err, 400, "InvalidModelException",
				    FILE_NAME ": its top level must be a mapping");
	if (!*ret && root->kind == YAML_MAP) {
		model_config_heed(&c, root);
		yaml_to_json(root, &json);
		if (buf_overflowed(&json))
			*ret = archive_fail(err, 400, "InvalidModelException",
					    FILE_NAME ": with its aliases written out it is "
						      "larger than 4 MiB");
		else
			m->config_json = region_copy(r, buf_slice(&json));
	}
	buf_finish(&c.doubts);
	buf_finish(&json);
	buf_finish(&why);
}
