/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/session.h"

/* What the first thread of a worker does: it loads, starts and ends the threads of instances, and
 * hears for them while they all run. */

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "worker/load.h"

/* How often the first thread looks for frames while all instances run, and for how long after the
 * last run. Seldom enough to take nothing from runs that are short, which receive themselves. */
#define SUPERVISE_WATCH_NS (20 * NS_PER_MS)
#define SUPERVISE_WATCHES 50

struct session_thread {
	struct session *s;
	unsigned instance;
};

static void *session_thread(void *arg)
{
	struct session_thread t = *(struct session_thread *)arg;

	free(arg);
	serve(t.s, t.instance);
	return NULL;
}

/* With the lock. */
static void session_start_thread(struct session *s)
{
	struct session_thread *t = mem_new(struct session_thread);

	assert(s->n_started == s->alive);
	*t = (struct session_thread){ s, s->alive };
	s->alive++;
	if (pthread_create(&s->started[s->n_started++], NULL, session_thread, t))
		session_broken("there is no memory for a thread");
}

/* Those that have said that they end: an engine may have put something into them that must not
 * outlive it. With the lock, which they do not need any more. */
static void session_join(struct session *s)
{
	while (s->n_started > s->alive)
		pthread_join(s->started[--s->n_started], NULL);
}

/* What has come of being asked for `wanted` instances. */
static void session_say_loaded(struct session *s, unsigned wanted)
{
	char *packet = mem_alloc(FRAME_MAX);
	struct buf json = BUF_INIT(FRAME_ROOM);
	struct frame_writer fw;

	buf_printf(&json, "{\"message\":\"loaded\",\"credits\":%u,\"async\":%s,\"wanted\":%u,",
		   s->model.n_instances, s->model.n_instances > 1 ? "true" : "false", wanted);
	model_describe(&s->model, &json);
	buf_putc(&json, '}');
	if (buf_overflowed(&json)) {
		buf_clear(&json);
		json.overflowed = false;
		buf_printf(&json, "{\"credits\":%u,\"async\":%s,\"wanted\":%u}",
			   s->model.n_instances, s->model.n_instances > 1 ? "true" : "false",
			   wanted);
	}
	frame_begin(&fw, packet, FRAME_MAX, FRAME_LOADED, 200);
	frame_put_bytes(&fw, buf_slice(&json));
	session_send(s, frame_end(&fw));
	buf_finish(&json);
	free(packet);
}

/* Instances up or down to what is wanted, as far as it goes. True: there are others now. */
static bool session_resize(struct session *s, unsigned wanted)
{
	struct sconce_error e = { "" };
	bool changed = s->model.n_instances != wanted;

	while (s->model.n_instances > wanted)
		model_drop_instance(&s->model);
	while (s->model.n_instances < wanted) {
		if (model_add_instance(&s->model, &e) < 0) {
			fprintf(stderr, "There is no other instance: %s\n", e.text);
			break;
		}
	}
	return changed;
}

/* With the lock, which it leaves meanwhile: what is said then is done the next time. */
static void session_retune(struct session *s)
{
	unsigned wanted = s->wanted, threads = s->threads;
	bool changed;

	s->tuned = false;
	session_join(s);
	pthread_mutex_unlock(&s->lock);
	changed = session_resize(s, wanted);
	changed = model_set_threads(&s->model, threads) || changed;
	pthread_mutex_lock(&s->lock);
	if (s->stopping)
		return;
	if (!s->tuned)
		s->wanted = s->model.n_instances;
	session_join(s);
	while (s->alive < s->model.n_instances)
		session_start_thread(s);
	if (changed)
		session_say_loaded(s, wanted);
}

/* An engine may not hear of it before it has begun. */
static void session_cancel_again(struct session *s)
{
	for (unsigned i = 0; i < s->n_started; i++)
		if (s->running[i] && !s->awaited[i])
			model_cancel(&s->model, i);
}

/* While all instances run nobody receives, and so nobody would hear that a client has left, or that
 * there are to be more instances. */
static void session_watch(struct session *s)
{
	uint64_t at_ns = clock_now_ns() + SUPERVISE_WATCH_NS;
	struct timespec until = { .tv_sec = (time_t)(at_ns / NS_PER_S),
				  .tv_nsec = (long)(at_ns % NS_PER_S) };
	struct received got;

	pthread_cond_timedwait(&s->supervise, &s->lock, &until);
	if (!s->receiving) {
		while (!s->receiving && session_take(s, &got, MSG_DONTWAIT))
			;
		/* Who has had to wait for this may receive now. */
		pthread_cond_broadcast(&s->turn);
	} else if (++s->quiet == SUPERVISE_WATCHES) {
		s->watched = false;
	}
	session_cancel_again(s);
}

static void session_supervise(struct session *s)
{
	pthread_mutex_lock(&s->lock);
	while (s->alive < s->model.n_instances)
		session_start_thread(s);
	s->wanted = s->model.n_instances;
	session_say_loaded(s, s->wanted);
	while (!s->stopping || s->alive) {
		/* Threads that are too many end first, each after what it runs. */
		if (s->tuned && !s->stopping && s->alive <= s->wanted) {
			session_retune(s);
			continue;
		}
		if (s->tuned || s->stopping)
			pthread_cond_broadcast(&s->turn);
		if (s->watched)
			session_watch(s);
		else
			pthread_cond_wait(&s->supervise, &s->lock);
	}
	session_join(s);
	pthread_mutex_unlock(&s->lock);
}

/* ---- from HELLO to LOADED ---- */

static void session_say_hello(struct session *s)
{
	char packet[512], json[256];
	struct frame_writer fw;
	int n = snprintf(json, sizeof(json),
			 "{\"protocol\":%d,\"pid\":%d,\"runtime\":\"native\",\"version\":\"%s\"}",
			 FRAME_PROTOCOL, (int)getpid(), SCONCE_VERSION);

	frame_begin(&fw, packet, sizeof(packet), FRAME_HELLO, 0);
	frame_put_bytes(&fw, slice_make(json, (size_t)n));
	session_send(s, frame_end(&fw));
}

static int session_load(struct session *s)
{
	struct received got;
	int r = 0;

	session_say_hello(s);
	pthread_mutex_lock(&s->lock);
	do
		session_take(s, &got, 0);
	while (got.frame.type != FRAME_LOAD && !s->stopping);
	pthread_mutex_unlock(&s->lock);
	if (s->stopping)
		return 1;
	if (got.n_fds != 2)
		session_broken("it was sent a LOAD without memory");
	if (memory_set_outbound(&s->memory, got.fds[0]) < 0)
		session_broken("the memory for replies cannot be mapped");
	r = load_model(s, got.fds[1], (size_t)got.frame.arg);
	close(got.fds[1]);
	return r;
}

int session_main(int fd)
{
	struct session *s = mem_new(struct session);
	pthread_condattr_t monotonic;
	int r;

	s->fd = fd;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->turn, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&s->supervise, &monotonic);
	pthread_condattr_destroy(&monotonic);
	list_init(&s->jobs);
	list_init(&s->live);
	r = session_load(s);
	if (!r)
		session_supervise(s);
	pipeline_free(s->pipeline);
	pillow_finish(&s->pillow);
	image_gpu_close(s->gpu);
	model_close(&s->model);
	memory_finish(&s->memory);
	pthread_cond_destroy(&s->supervise);
	pthread_cond_destroy(&s->turn);
	pthread_mutex_destroy(&s->lock);
	close(s->fd);
	free(s);
	return r < 0 ? 1 : 0;
}
