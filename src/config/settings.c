/* SPDX-License-Identifier: Apache-2.0 */

/* The sources of settings, one after the other, and what must hold between settings at the end. */
#include "config/settings.h"

#include <errno.h>
#include <inttypes.h>
#include <regex.h>

#include "base/file.h"
#include "base/mem.h"
#include "config/host.h"
#include "config/model_list.h"
#include "config/otel.h"
#include "config/properties.h"
#include "config/table.h"
#include "config/withhold.h"

#define ENV_NAME_MAX 96
#define BUDGET_MIN (UINT64_C(64) << 20)
#define DOUBTS_MAX ((size_t)64 << 10)
#define MIB (UINT64_C(1) << 20)

extern char **environ;

void settings_init(struct settings *s)
{
	_cleanup_(buf_finish) struct buf why = BUF_INIT(1024);
	const struct setting *t;

	*s = (struct settings){ 0 };
	for (unsigned i = 0; (t = setting_at(i)); i++) {
		int r = t->info.fallback ? setting_parse(t, s, slice_str(t->info.fallback), &why)
					 : 0;

		assert(r == 0);
		(void)r;
	}
	s->number_of_gpu = UINT64_MAX; /* as many as there are */
}

static bool is_text(const struct setting *t)
{
	return t->type == SETTING_TEXT || t->type == SETTING_CHOICE || t->type == SETTING_ADDRESS;
}

void settings_finish(struct settings *s)
{
	const struct setting *t;

	for (unsigned i = 0; (t = setting_at(i)); i++)
		if (is_text(t))
			free(*(char **)setting_field(t, s));
	for (unsigned i = 0; i < SETTINGS_MAX; i++)
		free(s->origins[i]);
	for (unsigned i = 0; i < SETTINGS_MAX; i++)
		free(s->withheld[i]);
	free(s->config_file);
	free(s->snapshot_file);
	free(s->snapshot_unused);
	*s = (struct settings){ 0 };
}

/* "--job-queue-size", "SCONCE_JOB_QUEUE_SIZE": the origin says the key already. */
static bool origin_names_key(struct slice origin, struct slice key)
{
	struct slice end = slice_make(origin.p + origin.n - MIN(origin.n, key.n), key.n);

	return origin.n > key.n && strchr("-_", end.p[-1]) && setting_key_resembles(end, key);
}

static void put_head(const char *origin, const char *key, struct buf *why)
{
	if (origin)
		buf_puts(why, origin);
	if (!origin || !origin_names_key(slice_str(origin), slice_str(key)))
		buf_printf(why, "%s%s", origin ? ": " : "", key);
	buf_puts(why, ": ");
}

const char *settings_origin(const struct settings *s, const char *key)
{
	const struct setting *t = setting_find(slice_str(key));

	assert(t);
	return s->origins[setting_index(t)];
}

void settings_put_head(const struct settings *s, const char *key, struct buf *why)
{
	put_head(settings_origin(s, key), key, why);
}

static int set_row(struct settings *s, const struct setting *t, struct slice value,
		   const char *origin, struct buf *why)
{
	_cleanup_(buf_finish) struct buf problem = BUF_INIT(1024);
	unsigned i = setting_index(t);
	int r = setting_parse(t, s, value, &problem);

	assert(i < SETTINGS_MAX);
	if (r == 0) {
		free(s->origins[i]);
		s->origins[i] = mem_strdup(origin);
		return 0;
	}
	put_head(origin, t->info.key, why);
	buf_printf(why, "%s\n", buf_cstr(&problem));
	return r;
}

/* Where TorchServe's own sources say it: Java takes for false whatever is not "true". */
static int set_row_of_java(struct settings *s, const struct setting *t, struct slice value,
			   const char *origin, struct buf *why)
{
	struct slice word = slice_trim(value);

	if (t->type != SETTING_BOOL || setting_is_own(t) || slice_ieq(word, SLICE("true")) ||
	    slice_ieq(word, SLICE("false")))
		return set_row(s, t, value, origin, why);
	buf_puts(why, "warning: ");
	put_head(origin, t->info.key, why);
	setting_put_shown(why, word);
	buf_puts(why, " is not a truth value and counts as false, as in TorchServe; allowed: "
		      "true|false\n");
	return set_row(s, t, SLICE("false"), origin, why);
}

static void put_unknown(struct slice key, const char *origin, struct buf *why)
{
	const struct setting *near = setting_nearest(key);

	buf_printf(why, "%s: no setting is called ", origin);
	setting_put_shown(why, key);
	if (near)
		buf_printf(why, "; did you mean '%s'?", near->info.key);
	buf_putc(why, '\n');
}

int settings_set(struct settings *s, struct slice key, struct slice value, const char *origin,
		 struct buf *why)
{
	const struct setting *t = setting_find_flag(key);

	if (t)
		return set_row(s, t, value, origin, why);
	put_unknown(key, origin, why);
	return -ENOENT;
}

/* The models that were there last are the newest word on that. */
static bool gives_way(const struct settings *s, const struct setting *t, bool snapshot)
{
	return !snapshot && s->snapshot_file &&
	       t->offset == offsetof(struct settings, model_snapshot);
}

static int load_property(struct settings *s, const struct property *e, const char *path,
			 bool snapshot, struct buf *why)
{
	_cleanup_(buf_finish) struct buf value = BUF_INIT(PROPERTIES_TEXT_MAX);
	_cleanup_(buf_finish) struct buf problem = BUF_INIT(1024);
	_cleanup_(freep) char *origin = mem_printf("%s:%u", path, e->line);
	const struct setting *t = setting_find(e->key);
	int r;

	if (!t) {
		buf_puts(why, "warning: ");
		put_unknown(e->key, origin, why);
		return 0;
	}
	r = properties_expand(e->value, environ, &value, &problem);
	if (r < 0) {
		buf_printf(why, "%s: %s: %s\n", origin, t->info.key,
			   r == -ENOBUFS ? "too long" : buf_cstr(&problem));
		return -EINVAL;
	}
	if (gives_way(s, t, snapshot)) {
		buf_printf(why, "warning: %s: %s is not used: the models are those of %s\n", origin,
			   t->info.key, s->snapshot_file);
		return 0;
	}
	if (snapshot && settings_withhold(s, t, buf_slice(&value), origin))
		return 0;
	return set_row_of_java(s, t, buf_slice(&value), origin, why);
}

static int load_text(struct settings *s, struct slice text, const char *path, bool snapshot,
		     struct buf *why)
{
	_cleanup_(properties_finish) struct properties p;
	_cleanup_(buf_finish) struct buf problem = BUF_INIT(1024);
	struct property e;
	int r, result = 0;

	properties_init(&p, text);
	while ((r = properties_next(&p, &e, &problem))) {
		if (r < 0) {
			buf_printf(why, "%s:%u: %s\n", path, e.line, buf_cstr(&problem));
			buf_clear(&problem);
		} else {
			r = load_property(s, &e, path, snapshot, why);
		}
		if (r < 0)
			result = r;
	}
	return result;
}

static int load_file(struct settings *s, const char *path, bool snapshot, struct buf *why)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(PROPERTIES_TEXT_MAX);
	/* What people name may be a pipe; what lies among the snapshots is not waited for. */
	int r = snapshot ? file_read(path, &text) : file_read_stream(path, &text);

	if (r < 0) {
		if (r == -ENOBUFS)
			buf_printf(why, "%s: longer than %zu bytes\n", path, PROPERTIES_TEXT_MAX);
		else
			buf_printf(why, "%s: %s\n", path, strerror(-r));
		return r;
	}
	free(s->config_file);
	s->config_file = mem_strdup(path);
	if (snapshot) {
		free(s->snapshot_file);
		s->snapshot_file = mem_strdup(path);
	}
	return load_text(s, buf_slice(&text), path, snapshot, why);
}

int settings_load_file(struct settings *s, const char *path, struct buf *why)
{
	return load_file(s, path, false, why);
}

int settings_load_snapshot(struct settings *s, const char *path, struct buf *why)
{
	return load_file(s, path, true, why);
}

/* PREFIX and the key in capitals. */
static void environment_name(char name[ENV_NAME_MAX], const char *prefix, const char *key)
{
	size_t n = strlen(prefix), k = strlen(key);

	assert(n + k < ENV_NAME_MAX);
	memcpy(name, prefix, n);
	for (size_t i = 0; i < k; i++)
		name[n++] = key[i] >= 'a' && key[i] <= 'z' ? (char)(key[i] - 0x20) : key[i];
	name[n] = 0;
}

typedef int setter(struct settings *s, const struct setting *t, struct slice value,
		   const char *origin, struct buf *why);

/* 0 also when the variable is not set. */
static int load_variable(struct settings *s, const struct setting *t, setter *set,
			 char *const *environment, const char *name, struct buf *why)
{
	struct slice value = environment_get(environment, slice_str(name));

	return value.p ? set(s, t, value, name, why) : 0;
}

static int load_with_prefix(struct settings *s, const char *prefix, const struct setting *t,
			    setter *set, char *const *environment, struct buf *why)
{
	char name[ENV_NAME_MAX];

	environment_name(name, prefix, t->info.key);
	return load_variable(s, t, set, environment, name, why);
}

/* TorchServe's own way to say so, whatever enable_envvars_config is. */
static bool asks_for_oip(char *const *environment)
{
	return slice_ieq(environment_get(environment, SLICE("TS_OPEN_INFERENCE_PROTOCOL")),
			 SLICE("oip"));
}

/* The names TorchServe gives its keys: TS_<KEY>, but ts_x is TS_X, and a few of their own. */
static int load_torchserve(struct settings *s, char *const *environment, struct buf *why)
{
	const struct setting *t;
	int r, result = 0;

	for (unsigned i = 0; (t = setting_at(i)); i++) {
		bool prefixed = slice_starts(slice_str(t->info.key), SLICE("ts_"));

		/* Its row stands after use_env_allowed_urls. */
		if (strcmp(t->info.key, "allowed_urls") == 0 && !s->use_env_allowed_urls)
			continue;
		if (strcmp(t->info.key, "ts_open_inference_protocol") == 0 &&
		    asks_for_oip(environment))
			continue;
		r = t->ts_env ? load_variable(s, t, set_row_of_java, environment, t->ts_env, why)
			      : load_with_prefix(s, prefixed ? "" : "TS_", t, set_row_of_java,
						 environment, why);
		if (r < 0)
			result = r;
	}
	return result;
}

static int load_own(struct settings *s, char *const *environment, struct buf *why)
{
	const struct setting *t;
	int r, result = 0;

	for (unsigned i = 0; (t = setting_at(i)); i++) {
		r = load_with_prefix(s, "SCONCE_", t, set_row, environment, why);
		if (r < 0)
			result = r;
	}
	return result;
}

/* Only near misses, as to case and hyphens, too: SCONCE_ is also the prefix of variables that are
 * not settings. */
static void warn_of_near_misses(char *const *environment, struct buf *why)
{
	static const struct slice prefix = SLICE("SCONCE_");
	char meant[ENV_NAME_MAX];

	for (; environment && *environment; environment++) {
		struct slice rest = slice_str(*environment), name = slice_cut(&rest, '=');
		const struct setting *near;

		if (!slice_istarts(name, prefix))
			continue;
		near = setting_nearest(slice_make(name.p + prefix.n, name.n - prefix.n));
		if (!near)
			continue;
		environment_name(meant, prefix.p, near->info.key);
		if (!slice_eq(name, slice_str(meant)))
			buf_printf(why,
				   "warning: no setting is called '%.*s'; did you mean '%s'?\n",
				   SLICE_ARG(name), meant);
	}
}

/* TEMP and TMPDIR are not meant for us alone, so they only stand in. */
static void load_tmp_dir(struct settings *s, char *const *environment)
{
	struct slice v = environment_get(environment, SLICE("TEMP"));

	if (!v.n)
		v = environment_get(environment, SLICE("TMPDIR"));
	if (v.n && !s->tmp_dir)
		s->tmp_dir = slice_dup(v);
}

int settings_load_environment(struct settings *s, char *const *environment, struct buf *why)
{
	const struct setting *enable = setting_find(SLICE("enable_envvars_config")), *t;
	_cleanup_(buf_finish) struct buf unsaid = BUF_INIT(4096);
	int r, result = 0;

	for (unsigned i = 0; (t = setting_at(i)); i++)
		if (t->env && load_variable(s, t, set_row, environment, t->env, why) < 0)
			result = -EINVAL;
	if (asks_for_oip(environment))
		s->ts_open_inference_protocol = true;
	otel_load(s, environment, why);

	/* It decides whether TS_ counts; what is wrong with it is said by load_own(). */
	r = load_with_prefix(s, "SCONCE_", enable, set_row, environment, &unsaid);
	if (r == 0 && s->enable_envvars_config && load_torchserve(s, environment, why) < 0)
		result = -EINVAL;
	if (load_own(s, environment, why) < 0)
		result = -EINVAL;
	warn_of_near_misses(environment, why);
	load_tmp_dir(s, environment);
	return result;
}

static void put_small_budget(const struct settings *s, struct buf *why)
{
	bool request = s->memory_budget < s->max_request_size;

	settings_put_head(s, "memory_budget", why);
	buf_printf(why,
		   "%" PRIu64 " bytes are less than %s (%" PRIu64
		   "); allowed: at least both max_request_size and pool_segment_size\n",
		   s->memory_budget, request ? "max_request_size" : "pool_segment_size",
		   request ? s->max_request_size : s->pool_segment_size);
}

static int check_budget(struct settings *s, uint64_t memory, struct buf *why)
{
	uint64_t wanted = MAX(BUDGET_MIN, 4 * s->max_request_size);

	if (!s->memory_budget) {
		s->memory_budget = MAX(memory / 4, MAX(wanted, s->pool_segment_size));
		if (memory && s->memory_budget > memory) {
			buf_puts(why, "warning: ");
			settings_put_head(s, "max_request_size", why);
			buf_printf(why,
				   "four requests of %" PRIu64 " MiB do not fit the %" PRIu64
				   " MiB of memory there are\n",
				   s->max_request_size / MIB, memory / MIB);
		}
		return 0;
	}
	if (s->memory_budget < s->max_request_size || s->memory_budget < s->pool_segment_size) {
		put_small_budget(s, why);
		return -EINVAL;
	}
	if (s->memory_budget < 4 * s->max_request_size) {
		buf_puts(why, "warning: ");
		settings_put_head(s, "memory_budget", why);
		buf_puts(why, "has no room for four requests of max_request_size at once; the "
			      "others are answered 503\n");
	}
	return 0;
}

/* What hides secrets has to work. */
static int check_blacklist(const struct settings *s, struct buf *why)
{
	char wrong[128];
	regex_t re;
	int r;

	if (!s->blacklist_env_vars)
		return 0;
	r = regcomp(&re, s->blacklist_env_vars, REG_EXTENDED | REG_NOSUB);
	if (!r) {
		regfree(&re);
		return 0;
	}
	regerror(r, &re, wrong, sizeof(wrong));
	settings_put_head(s, "blacklist_env_vars", why);
	buf_printf(why, "'%s' is not a regular expression: %s\n", s->blacklist_env_vars, wrong);
	return -EINVAL;
}

/* Said once at the start, and not only by each worker that fails for it. */
static void check_envelope(const struct settings *s, struct buf *why)
{
	static const char *const known[] = { "body", "json", "kserve", "kservev2" };
	const char *name = s->service_envelope;

	if (!name)
		return;
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (strcmp(name, known[i]) == 0)
			return;
	buf_puts(why, "warning: ");
	settings_put_head(s, "service_envelope", why);
	buf_puts(why, "there is no envelope ");
	setting_put_shown(why, slice_str(name));
	/* Its name until TorchServe 0.4. */
	if (slice_ieq(slice_str(name), SLICE("kfserving")))
		buf_puts(why, ", it is called kserve now");
	buf_puts(why, "; allowed: body|json|kserve|kservev2\n");
}

/* `exception`: "", or what snapshots' errors begin with. */
static int check_model_list(const struct settings *s, enum model_list_kind kind, const char *key,
			    const char *exception, struct buf *why)
{
	const char *json = kind == MODEL_LIST_MODELS ? s->models : s->model_snapshot;
	_cleanup_(model_list_finish) struct model_list list;
	_cleanup_(buf_finish) struct buf problem = BUF_INIT(1024), doubts = BUF_INIT(DOUBTS_MAX);
	int r = model_list_parse(&list, kind, slice_str(json), &problem, &doubts);
	struct slice rest = buf_slice(&doubts);

	while (rest.n) {
		struct slice doubt = slice_cut(&rest, '\n');

		buf_puts(why, "warning: ");
		settings_put_head(s, key, why);
		buf_printf(why, "%.*s\n", SLICE_ARG(doubt));
	}
	if (r) {
		buf_puts(why, exception);
		settings_put_head(s, key, why);
		buf_printf(why, "%s\n", buf_cstr(&problem));
	}
	return r;
}

/* Workers are in other folders than the server. */
static void make_absolute(char **path)
{
	char *given = *path;
	_cleanup_(freep) char *here = given && *given != '/' ? getcwd(NULL, 0) : NULL;

	if (!here)
		return;
	*path = mem_printf("%s/%s", here, given);
	free(given);
}

int settings_check(struct settings *s, struct buf *why)
{
	int budget = check_budget(s, host_memory(""), why), r = check_blacklist(s, why);

	check_envelope(s, why);
	if (check_model_list(s, MODEL_LIST_MODELS, "models", "", why))
		r = -EINVAL;
	if (check_model_list(s, MODEL_LIST_SNAPSHOT, "model_snapshot",
			     "InvalidSnapshotException: ", why))
		r = -EINVAL;

	if (!s->workflow_store)
		s->workflow_store = mem_strdup(s->model_store);
	if (!s->tmp_dir)
		s->tmp_dir = mem_strdup("/tmp");
	make_absolute(&s->tmp_dir);
	make_absolute(&s->cache_dir);
	if (!s->key_file)
		s->key_file = mem_strdup("key_file.json");
	return budget ? budget : r;
}
