/* SPDX-License-Identifier: Apache-2.0 */
#include "onnx.h"

/*
 * The number of threads can be changed although ONNX Runtime cannot change it: a thread of ours
 * loads the model a second time with another pool, and runs that begin later use that. So it is for
 * runs that are alone, whose session is beside that of all. A model that is so large that holding
 * it twice would hurt keeps its threads.
 */

#define TWICE_BYTES_MAX ((uint64_t)256 << 20)

unsigned onnx_pool(unsigned instances, unsigned each)
{
	/* A run works itself, and shares the others with the runs beside it. */
	return instances ? instances * (each - 1) + 1 : each;
}

static int open_another(struct onnx_model *m, unsigned threads, bool alone,
			struct onnx_session **ret, struct sconce_error *e)
{
	if (m->loaded_bytes > TWICE_BYTES_MAX)
		return kit_fail(e, -1,
				"the model is too large to be loaded a second time beside itself");
	if (!kit_file_is_the_same(&m->file, m->path))
		return kit_fail(e, -1, "its file has changed since");
	return onnx_session_open(m, threads, alone, ret, e);
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
		r = open_another(m, threads, place == &m->wide, &next, &e);
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

/* Threads of a run that has the model to itself; 0: those of any other. */
static unsigned threads_alone(const struct onnx_model *m)
{
	/* Where each has several, a run alone has the whole pool already. */
	return m->wanted == 1 ? kit_alone_threads(&m->alone, m->instances) : 0;
}

/* Is there another one for runs alone than there should be? That may be none, in both cases. */
static bool wide_is_due(const struct onnx_model *m)
{
	unsigned has = m->wide ? m->wide->threads : 0;

	return kit_alone_pays(&m->alone) && has != threads_alone(m);
}

bool onnx_tune_step(void *model)
{
	struct onnx_model *m = model;

	if (m->current->threads != m->wanted)
		return replace(m, &m->current, m->wanted);
	if (!wide_is_due(m))
		return false;
	if (!threads_alone(m))
		kit_alone_forget(&m->alone);
	return replace(m, &m->wide, threads_alone(m));
}

void onnx_count(struct onnx_model *m, int more)
{
	struct onnx_session *old = NULL;

	pthread_mutex_lock(&m->lock);
	m->instances += (unsigned)more;
	if (m->wide && m->wide->threads != threads_alone(m)) {
		old = m->wide;
		m->wide = NULL;
		kit_alone_forget(&m->alone);
	}
	pthread_mutex_unlock(&m->lock);
	if (old)
		onnx_session_put(m, old);
}

void onnx_tune(struct onnx_model *m, unsigned each)
{
	pthread_mutex_lock(&m->lock);
	m->wanted = onnx_pool(m->instances, each ? each : 1);
	if (m->wanted != m->current->threads || wide_is_due(m))
		kit_tuner_begin(&m->tuner);
	pthread_mutex_unlock(&m->lock);
}

/* ---- runs ---- */

struct onnx_session *onnx_run_begin(struct onnx_model *m, struct kit_run *ret)
{
	struct onnx_session *s;
	unsigned threads;

	pthread_mutex_lock(&m->lock);
	s = m->current;
	threads = threads_alone(m);
	if (kit_alone_begin(&m->alone, ret) && threads) {
		if (m->wide && m->wide->threads == threads)
			s = kit_alone_wide(&m->alone) ? m->wide : s;
		else if (kit_alone_missed(&m->alone))
			kit_tuner_begin(&m->tuner); /* once: what cannot be is not tried again */
	}
	s->users++;
	if (s->helpers)
		onnx_helpers_make_way(s);
	pthread_mutex_unlock(&m->lock);
	return s;
}

void onnx_run_end(struct onnx_model *m, struct onnx_session *s, const struct kit_run *run,
		  bool good)
{
	pthread_mutex_lock(&m->lock);
	kit_alone_end(&m->alone, run, good);
	pthread_mutex_unlock(&m->lock);
	onnx_session_put(m, s);
}
