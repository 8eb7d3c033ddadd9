/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/util.h"

_Noreturn void session_broken(const char *why)
{
	if (why)
		fprintf(stderr, "The worker ends: %s\n", why);
	fflush(NULL);
	_exit(why ? 1 : 0);
}

void session_send(struct session *s, struct slice packet)
{
	ssize_t n;

	do
		n = send(s->fd, packet.p, packet.n, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)packet.n)
		session_broken(n < 0 && errno == EPIPE ? NULL : "a frame cannot be sent");
}

/* ---- receiving ---- */

/* False, with MSG_DONTWAIT: there is nothing. */
static bool session_receive(struct session *s, struct received *got, int flags)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(SESSION_FDS_MAX * sizeof(int))];
	} control;
	struct iovec iov = { s->packet, sizeof(s->packet) };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	ssize_t n;

	do
		n = recvmsg(s->fd, &msg, MSG_CMSG_CLOEXEC | flags);
	while (n < 0 && errno == EINTR);
	if (n < 0 && flags && (errno == EAGAIN || errno == EWOULDBLOCK))
		return false;
	if (n <= 0)
		session_broken(NULL);
	got->n_fds = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		got->n_fds = MIN((c->cmsg_len - CMSG_LEN(0)) / sizeof(int), SESSION_FDS_MAX);
		memcpy(got->fds, CMSG_DATA(c), got->n_fds * sizeof(int));
	}
	if (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC) ||
	    frame_read(slice_make(s->packet, (size_t)n), &got->frame) < 0)
		session_broken("it was sent what is not a frame");
	return true;
}

static void session_close_fds(struct received *got)
{
	while (got->n_fds)
		close(got->fds[--got->n_fds]);
}

/* ---- frames; with the lock ---- */

static struct session_request *session_find(struct session *s, uint64_t id)
{
	list_for_each (n, &s->live) {
		struct session_request *r = container_of(n, struct session_request, link);

		if (r->entry.id == id)
			return r;
	}
	return NULL;
}

static void session_take_parts(struct session *s, struct session_run *run,
			       struct session_request *r)
{
	struct frame_request rest = r->entry;
	struct frame_part part;
	size_t i = 0;

	r->parts = region_alloc(&run->region, MAX(r->entry.n_parts, 1) * sizeof(*r->parts));
	for (; i < r->entry.n_parts && frame_part_next(&rest, &part) == 0; i++) {
		r->parts[i].name = part.name;
		r->parts[i].type = part.type;
		r->parts[i].whole = part.kind == FRAME_PART_BODY;
		if (!memory_view(&s->memory, part.span, &r->parts[i].bytes))
			session_broken("it was sent a part that lies outside its segment");
	}
	if (i < r->entry.n_parts)
		session_broken("it was sent a request with broken parts");
}

static struct session_job *session_new_job(struct session *s, struct session_run *run, uint64_t seq,
					   struct session_request *first)
{
	struct session_job *j = region_new(&run->region, struct session_job);

	j->run = run;
	j->seq = seq;
	j->requests = first;
	run->refs++;
	list_push_back(&s->jobs, &j->link);
	s->n_jobs++;
	return j;
}

static void session_run_frame(struct session *s, const struct frame *f)
{
	struct session_run *run = mem_new(struct session_run);
	struct session_request *r;
	struct session_job *j = NULL;
	struct slice rest;
	unsigned left = f->count;
	int batch = -1;

	region_init(&run->region);
	r = region_alloc(&run->region, MAX(left, 1) * sizeof(*r));
	/* The packet is the next frame's soon. */
	rest = region_copy(&run->region, f->body);
	for (; left; left--, r++) {
		struct frame_request entry;

		if (frame_request_next(&rest, &entry) < 0)
			break;
		if (entry.batch != batch) {
			batch = entry.batch;
			j = session_new_job(s, run, f->arg + (unsigned)batch, r);
		}
		j->n++;
		r->entry = entry;
		r->grant = entry.grant;
		session_take_parts(s, run, r);
		list_push_back(&s->live, &r->link);
	}
	if (left || rest.n || !j)
		session_broken("it was sent a RUN frame that is broken");
}

static void session_granted(struct session *s, const struct frame *f)
{
	struct session_request *r = session_find(s, f->arg);
	struct slice rest = f->body;
	struct span grant = { 0 };

	if (frame_u64(&rest, &grant.offset) < 0 || frame_u64(&rest, &grant.length) < 0)
		session_broken("it was sent a GRANT frame that is broken");
	if (!r)
		return;
	r->asked = false;
	r->grant = grant;
}

static void session_cancel(struct session *s, uint64_t id)
{
	struct session_request *r = session_find(s, id);

	if (!r || r->cancelled)
		return;
	r->cancelled = true;
	if (r->running && --s->awaited[r->instance] == 0)
		model_cancel(&s->model, r->instance);
}

static void session_tune(struct session *s, const struct frame *f)
{
	struct slice rest = f->body;
	uint64_t wanted;

	s->threads = (unsigned)MIN(f->arg, 4096);
	if (rest.n && frame_u64(&rest, &wanted) == 0)
		s->wanted = (unsigned)MIN(MAX(wanted, 1), MODEL_INSTANCES_MAX);
	s->tuned = true;
	pthread_cond_signal(&s->supervise);
}

/* Takes the descriptor. */
static void session_segment(struct session *s, struct received *got)
{
	struct slice rest = got->frame.body;
	uint64_t size;
	int fd = got->n_fds == 1 ? got->fds[0] : -1;

	if (frame_u64(&rest, &size) < 0)
		session_broken("it was sent a SEGMENT frame that is broken");
	if (!size) {
		memory_drop(&s->memory, (uint32_t)got->frame.arg);
		return;
	}
	if (fd < 0 || memory_add(&s->memory, (uint32_t)got->frame.arg, size, fd) < 0)
		session_broken("a segment of memory cannot be mapped");
	got->n_fds = 0;
}

static void session_stop(struct session *s)
{
	s->stopping = true;
	pthread_cond_signal(&s->supervise);
}

/* Descriptors stay open only of LOAD, which is for whoever called session_take(). */
static void session_handle(struct session *s, struct received *got)
{
	switch (got->frame.type) {
	case FRAME_LOAD:
		if (s->model.n_instances)
			session_broken("it was sent a second LOAD");
		return;
	case FRAME_RUN:
		session_run_frame(s, &got->frame);
		break;
	case FRAME_GRANT:
		session_granted(s, &got->frame);
		break;
	case FRAME_CANCEL:
		session_cancel(s, got->frame.arg);
		break;
	case FRAME_SEGMENT:
		session_segment(s, got);
		break;
	case FRAME_TUNE:
		session_tune(s, &got->frame);
		break;
	case FRAME_STOP:
		session_stop(s);
		break;
	default:
		break;
	}
	session_close_fds(got);
}

/* A thread for each batch, of which one is the caller's, and one that receives from now on. */
static void session_wake(struct session *s)
{
	if (s->n_special || s->stopping || s->tuned) {
		pthread_cond_broadcast(&s->turn);
		return;
	}
	for (unsigned i = 0; i < s->n_jobs; i++)
		pthread_cond_signal(&s->turn);
}

bool session_take(struct session *s, struct received *got, int flags)
{
	bool any;

	s->receiving = true;
	pthread_mutex_unlock(&s->lock);
	any = session_receive(s, got, flags);
	pthread_mutex_lock(&s->lock);
	s->receiving = false;
	if (any)
		session_handle(s, got);
	session_wake(s);
	return any;
}

/* Waits with the others for what somebody else receives. */
static void session_wait(struct session *s, bool special)
{
	s->n_special += special;
	pthread_cond_wait(&s->turn, &s->lock);
	s->n_special -= special;
}

/* ---- what threads wait for ---- */

/* Ends from the last one down, so that instances stay numbered without gaps. */
static bool session_is_spare(const struct session *s, unsigned instance)
{
	return instance >= s->wanted && instance + 1 == s->alive;
}

static struct session_job *session_pop(struct session *s)
{
	struct list *n = list_pop(&s->jobs);
	struct session_job *j = n ? container_of(n, struct session_job, link) : NULL;

	if (!j)
		return NULL;
	s->n_jobs--;
	memory_begin(&s->memory, j->seq);
	return j;
}

struct session_job *session_next_now(struct session *s)
{
	struct session_job *j;

	pthread_mutex_lock(&s->lock);
	j = session_pop(s);
	pthread_mutex_unlock(&s->lock);
	return j;
}

struct session_job *session_next(struct session *s, unsigned instance)
{
	struct session_job *j = NULL;
	struct received got;

	pthread_mutex_lock(&s->lock);
	while (!(j = session_pop(s)) && !s->stopping && !session_is_spare(s, instance)) {
		/* One that is to end must not sit in recvmsg(). */
		bool spare = instance >= s->wanted;

		if (s->receiving || spare)
			session_wait(s, spare);
		else
			session_take(s, &got, 0);
	}
	if (!j) {
		s->alive--;
		pthread_cond_signal(&s->supervise);
		pthread_cond_broadcast(&s->turn);
	}
	pthread_mutex_unlock(&s->lock);
	return j;
}

void session_done(struct session *s, struct session_job *j)
{
	struct session_run *run = j->run;
	bool over;

	pthread_mutex_lock(&s->lock);
	for (unsigned i = 0; i < j->n; i++)
		list_remove(&j->requests[i].link);
	over = --run->refs == 0;
	pthread_mutex_unlock(&s->lock);
	if (!over)
		return;
	region_finish(&run->region);
	free(run);
}

bool session_cancelled(struct session *s, const struct session_request *r)
{
	bool cancelled;

	pthread_mutex_lock(&s->lock);
	cancelled = r->cancelled;
	pthread_mutex_unlock(&s->lock);
	return cancelled;
}

bool session_begin_run(struct session *s, unsigned instance, struct session_request *r,
		       const bool *in, unsigned n)
{
	unsigned awaited = 0;

	pthread_mutex_lock(&s->lock);
	for (unsigned i = 0; i < n; i++)
		awaited += (!in || in[i]) && !r[i].cancelled;
	for (unsigned i = 0; i < n && awaited; i++) {
		r[i].running = !in || in[i];
		r[i].instance = instance;
	}
	s->awaited[instance] = awaited;
	s->running[instance] = awaited;
	s->quiet = 0;
	if (!s->watched) {
		s->watched = true;
		pthread_cond_signal(&s->supervise);
	}
	pthread_mutex_unlock(&s->lock);
	return awaited;
}

void session_end_run(struct session *s, unsigned instance, struct session_request *r, unsigned n)
{
	pthread_mutex_lock(&s->lock);
	for (unsigned i = 0; i < n; i++)
		r[i].running = false;
	s->running[instance] = false;
	pthread_mutex_unlock(&s->lock);
}

bool session_need(struct session *s, struct session_request *r, uint64_t length)
{
	char packet[FRAME_HEAD + sizeof(uint64_t)];
	struct frame_writer fw;
	struct received got;
	bool enough;

	frame_begin(&fw, packet, sizeof(packet), FRAME_NEED, r->entry.id);
	frame_put_u64(&fw, length);
	pthread_mutex_lock(&s->lock);
	r->asked = true;
	r->grant = (struct span){ 0 };
	session_send(s, frame_end(&fw));
	while (r->asked && !r->cancelled) {
		if (s->receiving)
			session_wait(s, true);
		else
			session_take(s, &got, 0);
	}
	/* Another one receives now. */
	pthread_cond_broadcast(&s->turn);
	enough = !r->asked && r->grant.length >= length;
	pthread_mutex_unlock(&s->lock);
	return enough;
}
