/* SPDX-License-Identifier: Apache-2.0 */
#include "onnx.h"

/*
 * The number of threads can be changed although ONNX Runtime cannot change it: a thread of ours
 * loads the model a second time with another pool, and runs that begin later use that. A model that
 * is so large that holding it twice would hurt keeps its threads.
 */

#include <signal.h>
#include <string.h>

#define TWICE_BYTES_MAX ((uint64_t)256 << 20)

unsigned onnx_pool(unsigned instances, unsigned each)
{
	/* A run works itself, and shares the others with the runs beside it. */
	return instances ? instances * (each - 1) + 1 : each;
}

static int open_another(struct onnx_model *m, unsigned threads, struct onnx_session **ret,
			struct sconce_error *e)
{
	if (m->loaded_bytes > TWICE_BYTES_MAX)
		return kit_fail(e, -1,
				"the model is too large to be loaded a second time beside itself");
	if (!kit_file_is_the_same(&m->file, m->path))
		return kit_fail(e, -1, "its file has changed since");
	return onnx_session_open(m, threads, ret, e);
}

/* Another session into that place, with so many threads; none with 0. The lock is held, but not
 * meanwhile. False: it cannot be opened. */
static bool replace(struct onnx_model *m, struct onnx_session **place, unsigned threads)
{
	const struct sconce_host *host = m->engine->host;
	const char *whose = place == &m->wide ? "a run that is alone uses"
					      : "all runs together use";
	unsigned before = m->current->threads;
	struct onnx_session *next = NULL, *old;
	struct sconce_error e;
	int r = 0;

	pthread_mutex_unlock(&m->lock);
	if (threads)
		r = open_another(m, threads, &next, &e);
	if (r)
		kit_log(host, 1, "keeps its %u threads: %.900s", before, e.text);
	else if (threads)
		kit_log(host, 1, "%s %u threads from now on", whose, threads);
	pthread_mutex_lock(&m->lock);
	if (r)
		return false;
	old = *place;
	*place = next;
	pthread_mutex_unlock(&m->lock);
	if (old)
		onnx_session_put(m, old);
	pthread_mutex_lock(&m->lock);
	return true;
}

/* Is there another one for runs alone than there should be? That may be none, in both cases. */
static bool wide_is_due(const struct onnx_model *m)
{
	unsigned has = m->wide ? m->wide->threads : 0;

	return onnx_alone_pays(m) && has != onnx_alone_threads(m);
}

/* One step to what is wanted. False: there is none. The lock is held, but not meanwhile. */
static bool tune_step(struct onnx_model *m)
{
	if (m->closing)
		return false;
	if (m->current->threads != m->wanted)
		return replace(m, &m->current, m->wanted);
	return wide_is_due(m) && replace(m, &m->wide, onnx_alone_threads(m));
}

static void *tune_thread(void *arg)
{
	struct onnx_model *m = arg;

	pthread_mutex_lock(&m->lock);
	while (tune_step(m))
		;
	m->tuning = false;
	pthread_mutex_unlock(&m->lock);
	return NULL;
}

/* With the lock held: a thread that has ended its tuning does not take it again. */
void onnx_tune_begin(struct onnx_model *m)
{
	sigset_t all, before;

	if (m->tuning || m->closing)
		return;
	if (m->has_tuner)
		pthread_join(m->tuner, NULL);
	/* Signals are the host's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	m->has_tuner = pthread_create(&m->tuner, NULL, tune_thread, m) == 0;
	m->tuning = m->has_tuner;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void onnx_tune(struct onnx_model *m, unsigned each)
{
	pthread_mutex_lock(&m->lock);
	m->wanted = onnx_pool(m->instances, each ? each : 1);
	if (m->wanted != m->current->threads || wide_is_due(m))
		onnx_tune_begin(m);
	pthread_mutex_unlock(&m->lock);
}

void onnx_tune_end(struct onnx_model *m)
{
	bool join;

	pthread_mutex_lock(&m->lock);
	m->closing = true;
	join = m->has_tuner;
	m->has_tuner = false;
	pthread_mutex_unlock(&m->lock);
	if (join)
		pthread_join(m->tuner, NULL);
}
