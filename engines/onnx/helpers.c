/* SPDX-License-Identifier: Apache-2.0 */
#include "onnx.h"

/*
 * The threads beside a run that is alone. Linux wakes a thread where it ran last, or where the one
 * runs that wakes it, and on a machine of few processors it stays there for milliseconds although
 * others are idle: the run then waits for what it has given away itself. So helpers may be anywhere
 * but where the run is. And as there is something for them every tenth of a millisecond until it
 * ends, they wait so long for the next of it without going to sleep.
 */

#include <sched.h>
#include <stdlib.h>

#define SPIN_US "200"

struct onnx_helper {
	struct onnx_helper *next;
	pthread_t thread;
	void (*work)(void *of);
	void *of;
};

static void *helper_main(void *arg)
{
	struct onnx_helper *h = arg;

	h->work(h->of);
	return NULL;
}

static const void *helper_begin(void *arg, void (*work)(void *of), void *of)
{
	struct onnx_session *s = arg;
	struct onnx_helper *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->work = work;
	h->of = of;
	if (pthread_create(&h->thread, NULL, helper_main, h)) {
		free(h);
		return NULL;
	}
	h->next = s->helpers;
	s->helpers = h;
	return h;
}

/* The session goes, and all of them with it: nobody looks into its list any more. */
static void helper_join(const void *thread)
{
	struct onnx_helper *h = (struct onnx_helper *)thread;

	pthread_join(h->thread, NULL);
	free(h);
}

/* An entry of the configuration, unless the model has it itself. */
static int helpers_entry(struct onnx_model *m, ort_session_options *options, const char *key,
			 const char *value, struct sconce_error *e)
{
	yyjson_val *entries = yyjson_obj_get(m->settings.root, "session");

	if (yyjson_obj_get(entries, key))
		return 0;
	return onnx_check(m->engine, m->engine->api->add_config(options, key, value), e);
}

/* Of both entries that bound it a version may know the one only that ends it with the run; those
 * before that do not spin. */
static int helpers_spin(struct onnx_model *m, ort_session_options *options, struct sconce_error *e)
{
	bool bounded = m->engine->api_version >= 12;
	int r = helpers_entry(m, options, "session.intra_op.allow_spinning", bounded ? "1" : "0",
			      e);

	if (!r)
		r = helpers_entry(m, options, "session.intra_op.spin_duration_us", SPIN_US, e);
	if (!r)
		r = helpers_entry(m, options, "session.force_spinning_stop", "1", e);
	return r;
}

int onnx_helpers_set(struct onnx_model *m, ort_session_options *options, struct onnx_session *s,
		     struct sconce_error *e)
{
	yyjson_val *entries = yyjson_obj_get(m->settings.root, "session");
	const struct ort_api *a = m->engine->api;
	int r = helpers_spin(m, options, e);

	/* Whoever has said where they run knows better. */
	if (r || yyjson_obj_get(entries, "session.intra_op_thread_affinities"))
		return r;
	r = onnx_check(m->engine, a->set_thread_arg(options, s), e);
	if (!r)
		r = onnx_check(m->engine, a->set_thread_begin(options, helper_begin), e);
	if (!r)
		r = onnx_check(m->engine, a->set_thread_join(options, helper_join), e);
	return r;
}

void onnx_helpers_make_way(struct onnx_session *s)
{
	int here = sched_getcpu();
	cpu_set_t set;

	if (here < 0 || here == s->apart || here >= CPU_SETSIZE)
		return;
	if (pthread_getaffinity_np(pthread_self(), sizeof(set), &set))
		return;
	CPU_CLR((size_t)here, &set);
	if (!CPU_COUNT(&set))
		return;
	for (struct onnx_helper *h = s->helpers; h; h = h->next)
		if (pthread_setaffinity_np(h->thread, sizeof(set), &set))
			return;
	s->apart = here;
}
