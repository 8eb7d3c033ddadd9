/* SPDX-License-Identifier: Apache-2.0 */
#include "sim_process.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/mem.h"
#include "config/settings.h"
#include "sim.h"

#define PROCESS_PID 1000000000 /* beyond any real one: nobody may signal it */
#define PROCESS_SLOWLY 7       /* every so many is made in several turns */
#define PROCESS_LATE 5         /* … and is told of when it is at work already */
#define PROCESS_FDS 4

static struct sim *processes_of;

/* ---- jobs ---- */

static struct process_job *process_job(struct process *p, uint64_t id)
{
	list_for_each (l, &p->jobs) {
		struct process_job *j = container_of(l, struct process_job, link);

		if (j->id == id)
			return j;
	}
	return NULL;
}

void process_job_free(struct process *p, struct process_job *j)
{
	list_remove(&j->link);
	p->n_jobs--;
	free(j);
}

static void process_read_sequence(struct process_job *j, struct slice headers)
{
	struct slice name, value;

	while (frame_header_next(&headers, &name, &value) > 0)
		if (slice_ieq(name, SLICE("ts_request_sequence_id")))
			snprintf(j->sequence, sizeof(j->sequence), "%.*s", SLICE_ARG(value));
	/* Others are the front's own: of one request each. */
	if (sscanf(j->sequence, "s%u", &j->lane) == 1)
		j->lane++;
	assert(j->lane < PROCESS_LANES);
}

static void process_take_run(struct sim *s, struct process *p, const struct frame *f)
{
	struct slice rest = f->body;
	struct frame_request fr;
	struct frame_part part;

	for (unsigned i = 0; i < f->count; i++) {
		struct process_job *j = mem_new(struct process_job);

		if (frame_request_next(&rest, &fr) < 0)
			sim_fail(s, "process %u got a malformed RUN", p->number);
		if (process_job(p, fr.id))
			sim_fail(s, "process %u got request %llu twice", p->number,
				 (unsigned long long)fr.id);
		j->id = fr.id;
		j->seq = f->arg + fr.batch;
		j->run_flags = fr.flags;
		j->grant = fr.grant;
		process_read_sequence(j, fr.headers);
		/* Behind the plan there is nothing; before it there may be fields. */
		while (frame_part_next(&fr, &part) == 0)
			if (part.kind != FRAME_PART_FIELD)
				j->body = part.span;
		if (j->sequence[0])
			sim_say(s, "process %u gets request %llu of sequence %s", p->number,
				(unsigned long long)j->id, j->sequence);
		process_check_sequence(s, p, j);
		list_push_back(&p->jobs, &j->link);
		p->n_jobs++;
	}
}

static void process_take_grant(struct sim *s, struct process *p, const struct frame *f)
{
	struct process_job *j = process_job(p, f->arg);
	struct slice rest = f->body;

	/* A liar may have asked for a request that it did not know yet, or has done with. */
	if ((!j || !j->asked) && !process_lies(p))
		sim_fail(s, "process %u is granted memory it did not ask for", p->number);
	if (!j)
		return;
	j->asked -= j->asked > 0;
	if (frame_u64(&rest, &j->grant.offset) < 0 || frame_u64(&rest, &j->grant.length) < 0)
		sim_fail(s, "process %u got a malformed GRANT", p->number);
	j->refused = !j->grant.length;
}

static void process_take_window(struct sim *s, struct process *p, const struct frame *f)
{
	struct process_job *j = process_job(p, f->arg);
	struct slice rest = f->body;
	uint64_t n;

	if (frame_u64(&rest, &n) < 0)
		sim_fail(s, "process %u got a malformed WINDOW", p->number);
	if (!j || process_lies(p))
		return; /* its last piece has gone meanwhile; or it has counted wrong */
	if (n > j->window)
		sim_fail(s, "process %u has a window opened that is larger than all it sent",
			 p->number);
	j->window -= n;
}

/* ---- frames ---- */

/* Its memory for replies, and a document that says what it is to be. */
static void process_take_load(struct sim *s, struct process *p, const struct frame *f,
			      const int *fds)
{
	struct stat st, doc;

	if (p->state != PROCESS_GREETED || fstat(fds[0], &st) < 0 || fstat(fds[1], &doc) < 0 ||
	    (uint64_t)doc.st_size < f->arg)
		sim_fail(s, "process %u is told to load out of turn, or not what", p->number);
	p->outbound_size = (size_t)st.st_size;
	p->outbound = mmap(NULL, p->outbound_size, PROT_READ | PROT_WRITE, MAP_SHARED, fds[0], 0);
	if (p->outbound == MAP_FAILED)
		sim_fail(s, "process %u cannot map its memory", p->number);
	p->state = PROCESS_LOADING;
}

static void process_take(struct sim *s, struct process *p, const struct frame *f, const int *fds)
{
	struct process_job *j = process_job(p, f->arg);
	struct slice rest = f->body;
	uint64_t size = 0;

	sim_say(s, "process %u gets frame %u arg %llu", p->number, f->type,
		(unsigned long long)f->arg);
	switch (f->type) {
	case FRAME_LOAD:
		process_take_load(s, p, f, fds);
		return;
	case FRAME_RUN:
		process_take_run(s, p, f);
		return;
	case FRAME_GRANT:
		process_take_grant(s, p, f);
		return;
	case FRAME_WINDOW:
		process_take_window(s, p, f);
		return;
	case FRAME_CANCEL:
		if (j)
			j->cancelled = true;
		return;
	case FRAME_SEGMENT:
		frame_u64(&rest, &size);
		process_map(s, p, (uint32_t)f->arg, size, fds[0]);
		return;
	case FRAME_STOP:
		p->leaving = true;
		return;
	case FRAME_TUNE:
	case FRAME_ANSWER: /* to what only liars ask */
	case FRAME_SEQUENCE_OVER:
		return;
	default:
		sim_fail(s, "process %u got a frame of type %u", p->number, f->type);
	}
}

/* The next frame. False: there is none. */
static bool process_hear(struct sim *s, struct process *p)
{
	static _Alignas(8) char packet[FRAME_MAX];
	union {
		char buf[CMSG_SPACE(sizeof(int) * PROCESS_FDS)];
		struct cmsghdr align;
	} control;
	struct iovec iov = { packet, sizeof(packet) };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control.buf,
			    .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(p->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct cmsghdr *h = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;
	int fds[PROCESS_FDS] = { -1, -1, -1, -1 };
	struct frame f;

	if (n == 0)
		p->leaving = true;
	if (n <= 0)
		return false;
	if (h)
		memcpy(fds, CMSG_DATA(h), MIN(h->cmsg_len - CMSG_LEN(0), sizeof(fds)));
	if (frame_read(slice_make(packet, (size_t)n), &f) < 0)
		sim_fail(s, "process %u got what is not a frame", p->number);
	process_take(s, p, &f, fds);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		closep(&fds[i]);
	return true;
}

/* ---- work ---- */

/* Whose turn it is: the first batch's, or anybody's. */
static struct process_job *process_next_job(struct sim *s, struct process *p)
{
	struct list *l = list_first(&p->jobs);
	unsigned skip = 0, n = 0;
	uint64_t seq;

	if (!l)
		return NULL;
	seq = container_of(l, struct process_job, link)->seq;
	list_for_each (m, &p->jobs)
		n += p->async || container_of(m, struct process_job, link)->seq == seq;
	skip = random_below(&s->random, n);
	while (skip--)
		l = l->next;
	return container_of(l, struct process_job, link);
}

/* What an honest one says besides. */
static void process_chats(struct process *p)
{
	static const char line[] = "a line that a handler prints\n";

	process_say(p, FRAME_METRIC, 0,
		    "[{\"name\":\"Echoes\",\"type\":\"counter\",\"unit\":\"Count\","
		    "\"value\":1,\"dimensions\":[]}]");
	process_say(p, FRAME_LOG, 2, "what it logs");
	if (write(p->out, line, sizeof(line) - 1) < 0)
		return;
}

static void process_work(struct sim *s, struct process *p)
{
	struct process_job *j = process_next_job(s, p);

	if (random_chance(&s->random, 30))
		process_chats(p);
	if (!j || j->overfilled)
		return;
	memcpy(p->outbound, &j->seq, sizeof(j->seq));
	process_answer(s, p, j);
}

static void process_load(struct sim *s, struct process *p)
{
	char json[128];

	if (p->load_in && !s->calm) {
		p->load_in--;
		return;
	}
	/* Of an optimized model. Some end meanwhile, and some are not past it when they are ready.
	 */
	if (random_chance(&s->random, 100)) {
		p->trying = !p->trying;
		process_say(p, FRAME_TRYING, p->trying, "");
		return;
	}
	if (p->fate == FATE_CANNOT_LOAD && !s->calm) {
		if (process_say(p, FRAME_LOADED, random_chance(&s->random, 500) ? 507 : 500,
				"{\"message\":\"it does not fit\"}"))
			p->fated = true;
		return;
	}
	snprintf(json, sizeof(json), "{\"message\":\"\",\"credits\":%d,\"async\":%s}",
		 p->async ? 4 + (int)random_below(&s->random, 8) : 1, p->async ? "true" : "false");
	if (process_say(p, FRAME_LOADED, 200, json))
		p->state = PROCESS_READY;
}

/* ---- its life ---- */

static pid_t process_pid(const struct process *p)
{
	return (pid_t)(PROCESS_PID + p->number);
}

static void process_free(struct sim *s, struct process *p)
{
	struct list *l;

	while ((l = list_first(&p->jobs)))
		process_job_free(p, container_of(l, struct process_job, link));
	close(p->fd);
	close(p->out);
	close(p->err);
	if (p->outbound)
		munmap(p->outbound, p->outbound_size);
	for (unsigned i = 0; i < p->n_segments; i++)
		munmap(p->segments[i].p, p->segments[i].size);
	free(p->segments);
	process_leave_state(s, p);
	list_remove(&p->link);
	free(p);
}

static void process_is_told(struct process *p)
{
	p->untold = 0;
	system_enter();
	worker_started(p->worker, process_pid(p));
	system_leave();
}

static void process_end(struct sim *s, struct process *p, int status)
{
	struct worker *w = p->worker;

	sim_say(s, "process %u ends with %d", p->number, status);
	if (w && p->untold)
		process_is_told(p);
	process_free(s, p);
	if (!w)
		return;
	system_enter();
	worker_ended(w, status, NULL);
	system_leave();
}

/* Its fate comes. True: it is gone, or does nothing more. */
static bool process_meets_fate(struct sim *s, struct process *p)
{
	bool unborn = p->fate == FATE_DIES_UNBORN;

	if (p->fated || p->fate == FATE_HONEST)
		return p->fated;
	if (s->calm)
		return false;
	if (!unborn && p->fate != FATE_MUTE && p->state != PROCESS_READY)
		return false;
	if (p->fate_in) {
		p->fate_in--;
		return false;
	}
	switch (p->fate) {
	case FATE_DIES_UNBORN:
	case FATE_DIES:
		s->figures.deaths++;
		process_end(s, p, random_chance(&s->random, 300) ? SIGKILL : 1 << 8);
		return true;
	case FATE_LIES:
		process_lie(s, p);
		return true;
	default:
		p->fated = true;
		p->deaf = p->fate == FATE_DEAF;
		return true;
	}
}

static void process_act(struct sim *s, struct process *p)
{
	switch (p->state) {
	case PROCESS_BORN:
		if (process_say(p, FRAME_HELLO, 0,
				"{\"protocol\":1,\"pid\":1,\"runtime\":\"sim\",\"version\":\"1\"}"))
			p->state = PROCESS_GREETED;
		return;
	case PROCESS_GREETED:
		return; /* LOAD has to come */
	case PROCESS_LOADING:
		process_load(s, p);
		return;
	case PROCESS_READY:
		if (!p->n_jobs && p->leaving)
			process_end(s, p, 0);
		else
			process_work(s, p);
	}
}

void process_step(struct sim *s, struct process *p)
{
	unsigned hear = 1 + random_below(&s->random, 4);

	if (p->unmade)
		return;
	if (p->convicted && !p->killed && s->figures.turns > p->convicted)
		sim_fail(s, "process %u named memory that is not its request's, and lives",
			 p->number);
	if (p->killed) {
		if (!p->end_in || s->calm)
			process_end(s, p, SIGKILL);
		else
			p->end_in--;
		return;
	}
	if (p->untold && !--p->untold)
		process_is_told(p);
	if (!p->deaf)
		while (hear-- && process_hear(s, p))
			;
	/* What failed to load ends by itself; so does what has not got so far. */
	if (p->fated && p->fate == FATE_CANNOT_LOAD) {
		process_end(s, p, 1 << 8);
		return;
	}
	if (p->leaving && p->state != PROCESS_READY && !p->fated) {
		process_end(s, p, 0);
		return;
	}
	if (!process_meets_fate(s, p))
		process_act(s, p);
}

struct process *process_pick(struct sim *s)
{
	unsigned n = 0, at;
	struct list *l = list_first(&s->processes);

	list_for_each (m, &s->processes)
		n++;
	if (!n)
		return NULL;
	for (at = random_below(&s->random, n); at; at--)
		l = l->next;
	return container_of(l, struct process, link);
}

const struct process *process_of(const struct sim *s, const struct worker *w)
{
	list_for_each (l, &s->processes) {
		const struct process *p = container_of(l, struct process, link);

		if (p->worker == w)
			return p;
	}
	return NULL;
}

void processes_step(struct sim *s)
{
	list_for_each_safe (l, &s->processes)
		process_step(s, container_of(l, struct process, link));
}

/* ---- its making ---- */

static enum process_fate process_draw_fate(struct sim *s)
{
	const struct weather *w = &s->weather;
	struct sim_random *r = &s->random;

	/* Those of the first models all get to work. */
	if (s->calm && s->step)
		return FATE_HONEST;
	if (w->bad_starts && s->step && random_chance(r, 250))
		return FATE_DIES_UNBORN + random_below(r, 3);
	if (w->deaths && random_chance(r, 600))
		return FATE_DIES;
	if (w->stalls && random_chance(r, 400))
		return random_chance(r, 500) ? FATE_STALLS : FATE_DEAF;
	if (w->lies && random_chance(r, 600))
		return FATE_LIES;
	return FATE_HONEST;
}

static int process_start(struct worker *w, const int ends[4])
{
	struct sim *s = processes_of;
	struct process *p = mem_new(struct process);

	p->worker = w;
	p->number = ++s->next_process;
	p->fd = fcntl(ends[3], F_DUPFD_CLOEXEC, 3);
	p->out = fcntl(ends[1], F_DUPFD_CLOEXEC, 3);
	p->err = fcntl(ends[2], F_DUPFD_CLOEXEC, 3);
	fcntl(p->out, F_SETFL, O_NONBLOCK);
	p->fate = process_draw_fate(s);
	p->fate_in = (unsigned)random_size(&s->random, 200);
	if (s->weather.manage && !s->calm && random_chance(&s->random, 400))
		p->load_in = (unsigned)random_size(&s->random, 500);
	p->async = w->model.manifest->async_communication || w->model.manifest->continuous_batching;
	p->lie = random_below(&s->random, 1000);
	list_init(&p->jobs);
	list_push_back(&s->processes, &p->link);
	sim_say(s, "process %u is %s, fate %d", p->number, w->label, p->fate);
	/* Some are made in several turns, as those of several ranks. */
	p->unmade = p->number % PROCESS_SLOWLY ? 0 : 1 + p->number / PROCESS_SLOWLY % 3;
	if (p->unmade)
		return MAKER_MORE;
	/* Of others it is told when they are at work already, as of a zygote's. */
	if (p->number % PROCESS_LATE == 0)
		p->untold = 1 + (unsigned)random_size(&s->random, 300);
	else
		worker_started(w, process_pid(p));
	return 0;
}

static struct process *process_find(const struct worker *w, bool unmade)
{
	list_for_each (l, &processes_of->processes) {
		struct process *p = container_of(l, struct process, link);

		if (p->worker == w && !p->killed && !p->unmade == !unmade)
			return p;
	}
	return NULL;
}

static int process_go_on(struct worker *w)
{
	struct process *p = process_find(w, true);

	w->shared->launch_ns += 3 * NS_PER_MS;
	if (!p)
		sim_fail(processes_of, "%s: there is nothing to go on with", w->label);
	p->unmade--;
	if (p->unmade)
		return MAKER_MORE;
	worker_started(w, process_pid(p));
	return 0;
}

static void process_kill(struct worker *w)
{
	struct process *p = process_find(w, false);
	struct sim_random *r = &processes_of->random;

	if (!w->pid) {
		worker_end_soon(w, "was not made");
		if (p) {
			p->killed = true;
			p->worker = NULL;
		}
	} else if (p) {
		sim_say(processes_of, "process %u is killed", p->number);
		p->killed = true;
		/* Some the kernel does not let go. */
		p->end_in = random_chance(r, 30) ? UINT_MAX : random_below(r, 5);
	}
}

/* What was killed and has not ended by now is not waited for any more. */
static void process_clear(struct worker *w)
{
	list_for_each_safe (l, &processes_of->processes) {
		struct process *p = container_of(l, struct process, link);

		if (p->worker == w && p->unmade) {
			process_free(processes_of, p);
		} else if (p->worker == w) {
			p->worker = NULL;
			p->end_in = 0;
		}
	}
}

static const struct worker_maker sim_maker = {
	.name = "simulated",
	.start = process_start,
	.go_on = process_go_on,
	.kill = process_kill,
	.clear = process_clear,
};

const struct worker_maker *const sim_makers[] = { &sim_maker, NULL };

void processes_init(struct sim *s)
{
	processes_of = s;
	list_init(&s->processes);
}
