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

/* One step to what is wanted. False: there is none. The lock is held, but not meanwhile. */
static bool tune_step(struct onnx_model *m)
{
	const struct sconce_host *host = m->engine->host;
	struct onnx_session *next = NULL, *old = NULL;
	unsigned wanted = m->wanted;
	struct sconce_error e;
	int r;

	if (m->closing || m->current->threads == wanted)
		return false;
	pthread_mutex_unlock(&m->lock);
	r = onnx_session_open(m, wanted, &next, &e);
	if (r)
		kit_log(host, 2, "keeps its number of threads: %.900s", e.text);
	else
		kit_log(host, 1, "all runs together use %u threads from now on", wanted);
	pthread_mutex_lock(&m->lock);
	if (r)
		return false;
	old = m->current;
	m->current = next;
	pthread_mutex_unlock(&m->lock);
	onnx_session_put(m, old);
	pthread_mutex_lock(&m->lock);
	return true;
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
static void tune_begin(struct onnx_model *m)
{
	sigset_t all, before;

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
	const char *why =
		m->loaded_bytes > TWICE_BYTES_MAX
			? "the model is too large to be loaded a second time beside itself"
		: !kit_file_is_the_same(&m->file, m->path) ? "its file has changed since"
							   : NULL;

	pthread_mutex_lock(&m->lock);
	m->wanted = onnx_pool(m->instances, each ? each : 1);
	if (!m->tuning && !m->closing && m->wanted != m->current->threads) {
		if (why)
			kit_log(m->engine->host, 1, "keeps its %u threads: %s", m->current->threads,
				why);
		else
			tune_begin(m);
	}
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
