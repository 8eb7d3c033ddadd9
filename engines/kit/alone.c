/* SPDX-License-Identifier: Apache-2.0 */
#include "kit/kit.h"

/*
 * A run that has the model to itself uses the threads of all instances: an answer comes sooner, for
 * a tenth more processor time. As runtimes have the threads in what they have loaded, that is a
 * second one, which a thread of ours opens once it has shown that it would be used. Whoever has
 * more to do than one run at a time never pays for it, neither in memory nor in time.
 */

#include <sched.h>

#define ALONE_THREADS_MAX 4 /* with more a run of a small model takes much more time in all */
#define ALONE_RUNS 8        /* that would have gained, until a second one is opened for them */
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

int kit_alone_init(struct kit_alone *a, const struct settings *settings, bool has_own,
		   struct sconce_error *e)
{
	yyjson_val *given = yyjson_obj_get(settings->root, "threads_alone");
	unsigned most = ALONE_THREADS_MAX;

	if (given && (!yyjson_is_uint(given) || !yyjson_get_uint(given)))
		return kit_fail(e, -1, "engine: threads_alone: is no number from 1");
	if (given)
		most = (unsigned)(yyjson_get_uint(given) & UINT16_MAX);
	if (has_own)
		most = 1;
	*a = (struct kit_alone){ .most = at_most(most, alone_processors()) };
	return 0;
}

unsigned kit_alone_threads(const struct kit_alone *a, unsigned instances)
{
	unsigned threads = at_most(instances, a->most);

	return threads > 1 ? threads : 0;
}

bool kit_alone_begin(struct kit_alone *a, struct kit_run *ret)
{
	bool alone;

	ret->began_ns = kit_now_ns();
	ret->thread_ns = kit_thread_ns();
	/* Nobody runs, and nobody has just run: instances that take turns between runs are not
	 * alone. */
	alone = !a->running && ret->began_ns - a->ended_ns >= a->took_ns / ALONE_PART;
	a->running++;
	a->undisturbed = alone;
	a->wide = false;
	return alone;
}

bool kit_alone_wide(struct kit_alone *a)
{
	a->wide = kit_choice_wide(&a->choice);
	return a->wide;
}

void kit_alone_end(struct kit_alone *a, const struct kit_run *run, bool good)
{
	uint64_t computed = kit_thread_ns() - run->thread_ns, waited = 0;

	a->running--;
	a->ended_ns = kit_now_ns();
	a->took_ns = a->ended_ns - run->began_ns;
	if (a->computes && a->took_ns > computed)
		waited = a->took_ns - computed;
	if (a->undisturbed && good)
		kit_choice_took(&a->choice, a->wide, a->took_ns, waited);
}

bool kit_alone_missed(struct kit_alone *a)
{
	return !kit_alone_pays(a) && ++a->runs == ALONE_RUNS;
}

bool kit_alone_pays(const struct kit_alone *a)
{
	return a->runs == ALONE_RUNS;
}

void kit_alone_forget(struct kit_alone *a)
{
	a->runs = 0;
	a->choice = (struct kit_choice){ 0 };
}
