/* SPDX-License-Identifier: Apache-2.0 */
#include "onnx.h"

/*
 * Sessions: the loaded model with its pool of threads. Runs take the current one and put it back,
 * so that it can be replaced at any time.
 */

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_MAX 1024

static int set_optimization(struct onnx_model *m, ort_session_options *options,
			    struct sconce_error *e)
{
	static const struct {
		const char *name;
		int level;
	} levels[] = { { "all", 99 }, { "extended", 2 }, { "basic", 1 }, { "none", 0 } };
	const char *wanted = "all";
	int r = settings_text(&m->settings, "optimization", &wanted, e);

	for (size_t i = 0; !r && i < sizeof(levels) / sizeof(*levels); i++)
		if (strcmp(wanted, levels[i].name) == 0)
			return onnx_check(
				m->engine,
				m->engine->api->set_graph_optimization(options, levels[i].level),
				e);
	return r ? r
		 : kit_fail(
			   e, -1,
			   "engine: optimization: \"%.100s\" is none of all, extended, basic, none",
			   wanted);
}

/* The arena keeps what runs have needed; without one they ask the C library each time. */
static int set_memory(struct onnx_model *m, ort_session_options *options, struct sconce_error *e)
{
	const struct ort_api *a = m->engine->api;
	bool arena = true;
	int r = settings_flag(&m->settings, "arena", &arena, e);

	if (!r && !arena)
		r = onnx_check(m->engine, a->disable_arena(options), e);
	if (!r && !arena)
		r = onnx_check(m->engine, a->disable_memory_pattern(options), e);
	return r;
}

/* What the runtime knows by its own names goes to it as it is. */
static int set_entries(struct onnx_model *m, ort_session_options *options, bool alone,
		       struct sconce_error *e)
{
	static const char spinning[] = "session.intra_op.allow_spinning";
	yyjson_val *entries = yyjson_obj_get(m->settings.root, "session"), *key, *value;
	const struct ort_api *a = m->engine->api;
	char text[VALUE_MAX];
	size_t i, n;
	int r = 0;

	if (entries && !yyjson_is_obj(entries))
		return kit_fail(e, -1, "engine: session: is no mapping of entries");
	/* Threads that spin take the processors of others; where there are none, see helpers.c. */
	if (!alone && !yyjson_obj_get(entries, spinning))
		r = onnx_check(m->engine, a->add_config(options, spinning, "0"), e);
	yyjson_obj_foreach(entries, i, n, key, value)
	{
		if (r)
			break;
		if (settings_value(value, text, sizeof(text)) < 0)
			return kit_fail(e, -1, "engine: session: %.200s: is no text or number",
					yyjson_get_str(key));
		r = onnx_check(m->engine, a->add_config(options, yyjson_get_str(key), text), e);
	}
	return r;
}

static int set_options(struct onnx_model *m, ort_session_options *options, struct onnx_session *s,
		       bool alone, struct sconce_error *e)
{
	const struct ort_api *a = m->engine->api;
	int r = onnx_check(m->engine, a->set_intra_threads(options, (int)s->threads), e);

	if (!r)
		r = onnx_check(m->engine, a->set_inter_threads(options, 1), e);
	if (!r)
		r = set_optimization(m, options, e);
	if (!r)
		r = set_memory(m, options, e);
	if (!r)
		r = set_entries(m, options, alone, e);
	if (!r && alone)
		r = onnx_helpers_set(m, options, s, e);
	if (!r)
		r = onnx_providers(m, options, e);
	return r;
}

int onnx_session_open(struct onnx_model *m, unsigned threads, bool alone, struct onnx_session **ret,
		      struct sconce_error *e)
{
	struct onnx_session *s = calloc(1, sizeof(*s));
	ort_session_options *options = NULL;
	struct onnx *o = m->engine;
	int r;

	if (!s)
		return kit_no_memory(e);
	s->threads = threads;
	s->users = 1;
	s->apart = -1;
	r = onnx_check(o, o->api->create_session_options(&options), e);
	if (!r)
		r = set_options(m, options, s, alone, e);
	if (!r)
		r = onnx_check(o, o->api->create_session(o->env, m->path, options, &s->session), e);
	if (options)
		o->api->release_session_options(options);
	/* The file's own bytes have been parsed and copied. */
	malloc_trim(0);
	if (r)
		free(s);
	else
		*ret = s;
	return r ? -1 : 0;
}

struct onnx_session *onnx_session_get(struct onnx_model *m)
{
	struct onnx_session *s;

	pthread_mutex_lock(&m->lock);
	s = m->current;
	s->users++;
	pthread_mutex_unlock(&m->lock);
	return s;
}

void onnx_session_put(struct onnx_model *m, struct onnx_session *s)
{
	unsigned left;

	pthread_mutex_lock(&m->lock);
	left = --s->users;
	pthread_mutex_unlock(&m->lock);
	if (left)
		return;
	m->engine->api->release_session(s->session);
	free(s);
	malloc_trim(0);
}
