/* SPDX-License-Identifier: Apache-2.0 */
#include "onnx.h"

/*
 * A run that has the model to itself uses the threads of all instances: an answer comes sooner, for
 * a tenth more processor time. As ONNX Runtime has the threads in the session, that is a second
 * session, which a thread of ours opens once it has shown that it would be used. Whoever has more
 * to do than one run at a time never pays for it, neither in memory nor in time.
 */

#include <sched.h>

#define ALONE_THREADS_MAX 4 /* with more a run of a small model takes much more time in all */
#define ALONE_RUNS 8        /* that would have gained, until a session is opened for them */
#define ALONE_PART 4        /* of the time of a run is how long nobody else may have run */

static unsigned alone_processors(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) < 0 ? 1 : (unsigned)CPU_COUNT(&set);
}

static unsigned at_most(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

int onnx_alone_init(struct onnx_model *m, struct sconce_error *e)
{
	yyjson_val *given = yyjson_obj_get(m->settings.root, "threads_alone");
	unsigned most = ALONE_THREADS_MAX;

	if (given && (!yyjson_is_uint(given) || !yyjson_get_uint(given)))
		return kit_fail(e, -1, "engine: threads_alone: is no number from 1");
	if (given)
		most = (unsigned)(yyjson_get_uint(given) & UINT16_MAX);
	/* What computes elsewhere, or has threads of its own, does not gain. */
	if (onnx_gpu(m) >= 0 || yyjson_obj_get(m->settings.root, "providers"))
		most = 1;
	m->alone_most = at_most(most, alone_processors());
	return 0;
}

bool onnx_alone_pays(const struct onnx_model *m)
{
	return m->alone_runs == ALONE_RUNS;
}

unsigned onnx_alone_threads(const struct onnx_model *m)
{
	unsigned threads = at_most(m->instances, m->alone_most);

	/* Where each has several, a run alone has the whole pool already. */
	return m->wanted == 1 && threads > 1 ? threads : 0;
}

/* Nobody runs, and nobody has just run: instances that take turns between runs are not alone. */
static bool is_alone(const struct onnx_model *m, uint64_t now)
{
	return !m->running && now - m->ended_ns >= m->took_ns / ALONE_PART;
}

struct onnx_session *onnx_run_begin(struct onnx_model *m, uint64_t *ret_ns)
{
	struct onnx_session *s;

	pthread_mutex_lock(&m->lock);
	*ret_ns = kit_now_ns();
	s = m->current;
	if (is_alone(m, *ret_ns) && onnx_alone_threads(m)) {
		if (m->wide && m->wide->threads == onnx_alone_threads(m))
			s = m->wide;
		else if (!onnx_alone_pays(m) && ++m->alone_runs == ALONE_RUNS)
			onnx_tune_begin(m); /* once: what cannot be is not tried again */
	}
	s->users++;
	m->running++;
	pthread_mutex_unlock(&m->lock);
	return s;
}

void onnx_run_end(struct onnx_model *m, struct onnx_session *s, uint64_t began_ns)
{
	pthread_mutex_lock(&m->lock);
	m->running--;
	m->ended_ns = kit_now_ns();
	m->took_ns = m->ended_ns - began_ns;
	pthread_mutex_unlock(&m->lock);
	onnx_session_put(m, s);
}
