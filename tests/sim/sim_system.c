/* SPDX-License-Identifier: Apache-2.0 */
#include "sim_system.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/util.h"

/* Some Thursday: what the clocks show when a run begins. */
#define SYSTEM_BEGIN_NS (UINT64_C(1000000) * NS_PER_S)

/* The names of the C library are seen by its other users, too. */
#define SYSTEM_SEEN __attribute__((visibility("default"), used))

static struct {
	bool on, inside, show_log;
	uint64_t now_ns;
	struct sim_random random;
	struct system_faults faults;
	unsigned calls; /* reads and writes of this turn */
	uv_loop_t *loop;
	uv_timer_t done; /* reports what the pool did */
	struct list works;
} sys;

/* ---- the clock ---- */

SYSTEM_SEEN int clock_gettime(clockid_t clock, struct timespec *t)
{
	if (!sys.on || clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID)
		return (int)syscall(SYS_clock_gettime, clock, t);
	*t = (struct timespec){ (time_t)(sys.now_ns / NS_PER_S), (long)(sys.now_ns % NS_PER_S) };
	return 0;
}

uint64_t system_real_ns(void)
{
	struct timespec t;

	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

void system_advance(uint64_t ns)
{
	sys.now_ns += ns;
}

uint64_t system_now_ns(void)
{
	return sys.now_ns - SYSTEM_BEGIN_NS;
}

SYSTEM_SEEN ssize_t getrandom(void *p, size_t n, unsigned flags)
{
	if (!sys.on)
		return syscall(SYS_getrandom, p, n, flags);
	for (size_t i = 0; i < n; i++)
		((unsigned char *)p)[i] = (unsigned char)random_next(&sys.random);
	return (ssize_t)n;
}

/* ---- calls that fail ---- */

static bool system_fails(unsigned in_1000)
{
	return sys.inside && in_1000 && random_chance(&sys.random, in_1000);
}

/* The front's stream sockets are its clients' connections. */
static bool system_is_client(int fd)
{
	socklen_t n = sizeof(int);
	int type = 0;

	return sys.inside && getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0 &&
	       type == SOCK_STREAM;
}

void system_set_faults(const struct system_faults *f)
{
	sys.faults = *f;
}

static int system_no_descriptor(void)
{
	errno = random_chance(&sys.random, 500) ? EMFILE : ENFILE;
	return -1;
}

SYSTEM_SEEN int socketpair(int domain, int type, int protocol, int pair[2])
{
	if (system_fails(sys.faults.descriptors))
		return system_no_descriptor();
	return (int)syscall(SYS_socketpair, domain, type, protocol, pair);
}

SYSTEM_SEEN int pipe2(int pair[2], int flags)
{
	if (system_fails(sys.faults.descriptors))
		return system_no_descriptor();
	return (int)syscall(SYS_pipe2, pair, flags);
}

SYSTEM_SEEN int memfd_create(const char *name, unsigned flags)
{
	if (system_fails(sys.faults.descriptors))
		return system_no_descriptor();
	return (int)syscall(SYS_memfd_create, name, flags);
}

/* What a write to a client comes to: < 0 with errno, or how many bytes of n. */
static ssize_t system_write_fault(int fd, size_t n)
{
	sys.calls += sys.inside;
	if (!system_is_client(fd))
		return (ssize_t)n;
	if (system_fails(sys.faults.broken)) {
		errno = random_chance(&sys.random, 500) ? EPIPE : ECONNRESET;
		return -1;
	}
	if (system_fails(sys.faults.again)) {
		errno = EAGAIN;
		return -1;
	}
	if (n > 1 && system_fails(sys.faults.short_write))
		return 1 + (ssize_t)random_size(&sys.random, n - 2);
	return (ssize_t)n;
}

SYSTEM_SEEN ssize_t write(int fd, const void *p, size_t n)
{
	ssize_t r;

	if (fd == STDERR_FILENO && sys.inside && !sys.show_log)
		return (ssize_t)n;
	r = system_write_fault(fd, n);
	return r < 0 ? r : syscall(SYS_write, fd, p, n ? (size_t)r : 0);
}

static size_t system_iov_total(const struct iovec *iov, size_t n)
{
	size_t total = 0;

	for (size_t i = 0; i < n; i++)
		total += iov[i].iov_len;
	return total;
}

/* The first `n` bytes of it; returns how many entries that takes. */
static size_t system_iov_cut(struct iovec *to, const struct iovec *from, size_t max, size_t n)
{
	size_t i = 0;

	for (; i < max && n; i++) {
		to[i] = from[i];
		to[i].iov_len = MIN(to[i].iov_len, n);
		n -= to[i].iov_len;
	}
	return i;
}

SYSTEM_SEEN ssize_t writev(int fd, const struct iovec *iov, int n)
{
	struct iovec part[IOV_MAX];
	size_t total = system_iov_total(iov, (size_t)n);
	ssize_t r = system_write_fault(fd, total);

	if (r < 0 || (size_t)r == total)
		return r < 0 ? r : syscall(SYS_writev, fd, iov, n);
	return syscall(SYS_writev, fd, part, system_iov_cut(part, iov, (size_t)n, (size_t)r));
}

SYSTEM_SEEN ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
	struct iovec part[IOV_MAX];
	size_t total = system_iov_total(m->msg_iov, m->msg_iovlen);
	ssize_t r = system_write_fault(fd, total);
	struct msghdr less = *m;

	if (r < 0)
		return r;
	if ((size_t)r != total) {
		less.msg_iov = part;
		less.msg_iovlen = system_iov_cut(part, m->msg_iov, m->msg_iovlen, (size_t)r);
	}
	return syscall(SYS_sendmsg, fd, &less, flags);
}

SYSTEM_SEEN ssize_t read(int fd, void *p, size_t n)
{
	sys.calls += sys.inside;
	return syscall(SYS_read, fd, p, n);
}

SYSTEM_SEEN ssize_t recvmsg(int fd, struct msghdr *m, int flags)
{
	sys.calls += sys.inside;
	return syscall(SYS_recvmsg, fd, m, flags);
}

/* ---- libuv's pool ---- */

struct system_work {
	struct list link;
	uv_work_t *request;
};

int __wrap_uv_queue_work(uv_loop_t *loop, uv_work_t *w, uv_work_cb run, uv_after_work_cb after);

int __wrap_uv_queue_work(uv_loop_t *loop, uv_work_t *w, uv_work_cb run, uv_after_work_cb after)
{
	struct system_work *done = mem_new(struct system_work);
	bool inside = sys.inside;

	assert(loop == sys.loop);
	w->loop = loop;
	w->after_work_cb = after;
	sys.inside = false;
	run(w);
	sys.inside = inside;
	done->request = w;
	list_push_back(&sys.works, &done->link);
	uv_timer_start(&sys.done, sys.done.timer_cb, 0, 0);
	return 0;
}

static void system_report_works(uv_timer_t *t)
{
	struct list works = LIST_INIT(works), *l;

	(void)t;
	list_splice_back(&works, &sys.works);
	while ((l = list_pop(&works))) {
		struct system_work *done = container_of(l, struct system_work, link);
		uv_work_t *w = done->request;

		free(done);
		w->after_work_cb(w, 0);
	}
}

/* ---- life ---- */

void system_enter(void)
{
	assert(!sys.inside);
	sys.inside = true;
}

void system_leave(void)
{
	assert(sys.inside);
	sys.inside = false;
}

unsigned system_turn(void)
{
	sys.calls = 0;
	system_enter();
	uv_run(sys.loop, UV_RUN_NOWAIT);
	system_leave();
	return sys.calls;
}

void system_init(uv_loop_t *loop, uint64_t seed, bool show_log)
{
	memset(&sys, 0, sizeof(sys));
	random_seed(&sys.random, seed ^ UINT64_C(0x5e75e75e7));
	sys.on = true;
	sys.show_log = show_log;
	sys.now_ns = SYSTEM_BEGIN_NS;
	sys.loop = loop;
	list_init(&sys.works);
	uv_loop_init(loop);
	uv_timer_init(loop, &sys.done);
	sys.done.timer_cb = system_report_works;
}

void system_finish(void)
{
	assert(list_empty(&sys.works));
	uv_close((uv_handle_t *)&sys.done, NULL);
	uv_run(sys.loop, UV_RUN_NOWAIT);
	uv_run(sys.loop, UV_RUN_NOWAIT);
	sys.on = false;
}
