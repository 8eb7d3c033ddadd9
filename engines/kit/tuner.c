/* SPDX-License-Identifier: Apache-2.0 */
#include "kit/kit.h"

#include <signal.h>

static void *tuner_thread(void *arg)
{
	struct kit_tuner *t = arg;

	pthread_mutex_lock(t->lock);
	while (!t->closing && t->step(t->arg))
		;
	t->tuning = false;
	pthread_mutex_unlock(t->lock);
	return NULL;
}

void kit_tuner_begin(struct kit_tuner *t)
{
	sigset_t all, before;

	if (t->tuning || t->closing)
		return;
	/* A thread that has ended its tuning does not take the lock again. */
	if (t->has_thread)
		pthread_join(t->thread, NULL);
	/* Signals are the host's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	t->has_thread = pthread_create(&t->thread, NULL, tuner_thread, t) == 0;
	t->tuning = t->has_thread;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void kit_tuner_end(struct kit_tuner *t)
{
	bool join;

	pthread_mutex_lock(t->lock);
	t->closing = true;
	join = t->has_thread;
	t->has_thread = false;
	pthread_mutex_unlock(t->lock);
	if (join)
		pthread_join(t->thread, NULL);
}
