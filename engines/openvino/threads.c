/* SPDX-License-Identifier: Apache-2.0 */
#include "openvino.h"

/*
 * Compiled again where the number of runs at a time or of threads changes, and a second time, in a
 * thread of ours, for runs that are alone. A model that is so large that holding it twice would
 * hurt stays as it is.
 */

#define TWICE_BYTES_MAX ((uint64_t)256 << 20)

/* Why it is not compiled beside itself; NULL: it may be. */
static const char *why_not(const struct openvino_model *m)
{
	if (m->loaded_bytes > TWICE_BYTES_MAX)
		return "the model is too large to be compiled a second time beside itself";
	return kit_file_is_the_same(&m->file, m->path) ? NULL : "its file has changed since";
}

/* Instances that do nothing would hold on to what is replaced until they run. With the lock. */
static void let_go(struct openvino_model *m)
{
	for (struct openvino_instance *i = m->instances; i; i = i->next)
		openvino_instance_leave(i);
}

/* ---- all runs ---- */

static void replace(struct openvino_model *m, unsigned streams, unsigned each)
{
	const struct sconce_host *host = m->engine->host;
	struct openvino_compiled *next = NULL, *old;
	const char *why = why_not(m);
	struct sconce_error e;

	if (why) {
		kit_log(host, 1, "stays compiled for %u runs at a time and %u threads: %s",
			m->current->streams, m->current->threads, why);
		return;
	}
	if (openvino_compile(m, streams, each, &next, NULL, &e)) {
		kit_log(host, 2, "keeps its number of threads: %.900s", e.text);
		return;
	}
	pthread_mutex_lock(&m->lock);
	old = m->current;
	m->current = next;
	let_go(m);
	openvino_put(m, old);
	pthread_mutex_unlock(&m->lock);
	kit_log(host, 1, "%u runs at a time use %u threads each from now on", streams, each);
}

void openvino_tune(struct openvino_model *m)
{
	unsigned streams, each;
	bool same;

	pthread_mutex_lock(&m->tuning);
	pthread_mutex_lock(&m->lock);
	streams = m->n_instances ? m->n_instances : 1;
	each = m->each;
	/* Streams that nobody uses cost little. */
	same = streams <= m->current->streams && each == m->current->threads / m->current->streams;
	pthread_mutex_unlock(&m->lock);
	if (!same)
		replace(m, streams, each);
	pthread_mutex_unlock(&m->tuning);
}

/* ---- runs that are alone ---- */

/* Threads of a run that has the model to itself; 0: those of any other. With the lock. */
static unsigned threads_alone(const struct openvino_model *m)
{
	return m->each == 1 ? kit_alone_threads(&m->alone, m->n_instances) : 0;
}

void openvino_fit(struct openvino_model *m)
{
	struct openvino_compiled *old = m->wide;

	if (!old || old->threads == threads_alone(m))
		return;
	m->wide = NULL;
	kit_alone_forget(&m->alone);
	let_go(m);
	openvino_put(m, old);
}

bool openvino_run_begin(struct openvino_model *m, struct kit_run *ret)
{
	bool gains = kit_alone_begin(&m->alone, ret) && threads_alone(m);

	if (gains && !m->wide && kit_alone_missed(&m->alone))
		kit_tuner_begin(&m->tuner); /* once: what cannot be is not tried again */
	return gains && m->wide && kit_alone_wide(&m->alone);
}

static struct openvino_compiled *compile_wide(struct openvino_model *m, unsigned threads)
{
	const struct sconce_host *host = m->engine->host;
	struct openvino_compiled *wide = NULL;
	const char *why = why_not(m);
	struct sconce_error e;

	if (!why && openvino_compile(m, 1, threads, &wide, NULL, &e))
		why = e.text;
	if (why)
		kit_log(host, 1, "a run that is alone has no more threads: %.900s", why);
	else
		kit_log(host, 1, "a run that is alone uses %u threads from now on", threads);
	return wide;
}

bool openvino_widen(void *model)
{
	struct openvino_model *m = model;
	struct openvino_compiled *wide = NULL;
	unsigned threads;

	pthread_mutex_unlock(&m->lock);
	pthread_mutex_lock(&m->tuning);
	pthread_mutex_lock(&m->lock);
	threads = threads_alone(m);
	pthread_mutex_unlock(&m->lock);
	if (threads)
		wide = compile_wide(m, threads);
	pthread_mutex_unlock(&m->tuning);
	pthread_mutex_lock(&m->lock);
	m->wide = wide;
	if (!threads)
		kit_alone_forget(&m->alone);
	openvino_fit(m); /* there may be other instances by now */
	return false;
}
