/* SPDX-License-Identifier: Apache-2.0 */
#include "child/child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/util.h"
#include "loop/turn.h"

static void child_end(struct child *c, int status)
{
	/* What it left behind in its session must not outlive it. */
	kill(-c->pid, SIGKILL);
	c->pid = 0;
	list_remove(&c->link);
	c->exited(c, status);
}

static struct child *children_find(struct children *cs, pid_t pid)
{
	list_for_each (n, &cs->all) {
		struct child *c = container_of(n, struct child, link);

		if (c->pid == pid)
			return c;
	}
	return NULL;
}

static void children_reap(uv_signal_t *s, int signal)
{
	struct children *cs = s->data;
	pid_t pid;
	int status;

	TURN(s);
	(void)signal;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct child *c = children_find(cs, pid);

		if (c) {
			child_end(c, status);
			continue;
		}
		cs->strays[cs->next_stray].pid = pid;
		cs->strays[cs->next_stray].status = status;
		cs->next_stray = (cs->next_stray + 1) % CHILDREN_STRAYS;
	}
}

int children_init(struct children *cs, uv_loop_t *loop)
{
	*cs = (struct children){ 0 };
	list_init(&cs->all);
	getrlimit(RLIMIT_NOFILE, &cs->files);
	cs->files.rlim_cur = MAX(cs->files.rlim_cur, MIN(cs->files.rlim_max, CHILDREN_FILES_MIN));
	cs->sigchld.data = cs;
	uv_signal_init(loop, &cs->sigchld);
	uv_unref((uv_handle_t *)&cs->sigchld);
	/* Workers forked by the zygote are re-parented to us. */
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		return err_origin(-errno);
	return uv_signal_start(&cs->sigchld, children_reap, SIGCHLD);
}

void children_finish(struct children *cs)
{
	while (!list_empty(&cs->all))
		child_abandon(container_of(list_first(&cs->all), struct child, link));
	uv_close((uv_handle_t *)&cs->sigchld, NULL);
}

/* Handlers are ours: what such a signal to the child would have them do is done to us. */
static void child_forget_handlers(void)
{
	struct sigaction a;

	for (int n = 1; n < NSIG; n++)
		if (sigaction(n, NULL, &a) == 0 && a.sa_handler != SIG_IGN)
			signal(n, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_DFL);
}

/* Between fork and exec: async-signal-safe calls only, and all signals are blocked. */
static void child_exec(const struct spawn *s, pid_t parent, const struct rlimit *files)
{
	int fds[ARRAY_LEN(s->fds)];
	sigset_t none;

	setsid();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	child_forget_handlers();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* Out of the way first: a source may carry a number that is another's target. */
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		int from = s->fds[i] >= 0 ? s->fds[i] : open("/dev/null", O_RDWR | O_CLOEXEC);

		fds[i] = fcntl(from, F_DUPFD_CLOEXEC, 16);
		if (fds[i] < 0)
			_exit(127);
	}
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		if (dup2(fds[i], (int)i) < 0)
			_exit(127);
	/* A library's may have no CLOEXEC, as libcurl's sockets have none. */
	close_range(ARRAY_LEN(fds), UINT_MAX, 0);
	if (s->cwd && chdir(s->cwd) < 0)
		_exit(127);
	/* Last: what is open here may be more than that. */
	setrlimit(RLIMIT_NOFILE, files);
	execve(s->file, s->argv, s->environment);
	_exit(127);
}

int child_spawn(struct children *cs, struct child *c, const struct spawn *s,
		void (*exited)(struct child *c, int status))
{
	pid_t parent = getpid(), pid;
	sigset_t all, before;
	int r = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (pid == 0)
		child_exec(s, parent, &cs->files);
	if (pid < 0)
		r = err_origin(-errno);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r < 0)
		return r;
	*c = (struct child){ .children = cs, .pid = pid, .exited = exited };
	list_push_back(&cs->all, &c->link);
	return 0;
}

static void child_deliver_closed(uv_handle_t *h)
{
	free(h);
}

static void child_deliver(uv_timer_t *t)
{
	struct child *c = t->data;

	TURN(t);
	c->deliver = NULL;
	uv_close((uv_handle_t *)t, child_deliver_closed);
	child_end(c, c->stray_status);
}

/* How a process that is no more has ended, as far as that is still known. */
static int children_stray_status(struct children *cs, pid_t pid)
{
	for (unsigned i = 0; i < CHILDREN_STRAYS; i++) {
		if (cs->strays[i].pid != pid)
			continue;
		cs->strays[i].pid = 0;
		return cs->strays[i].status;
	}
	return CHILD_STATUS_UNKNOWN;
}

void child_adopt(struct children *cs, struct child *c, pid_t pid,
		 void (*exited)(struct child *c, int status))
{
	*c = (struct child){ .children = cs, .pid = pid, .exited = exited };
	list_push_back(&cs->all, &c->link);
	/* One that is there, or not reaped yet, will be reaped. Another's end may be kept under its
	 * number. */
	if (kill(pid, 0) == 0 || errno != ESRCH)
		return;
	c->stray_status = children_stray_status(cs, pid);
	c->deliver = mem_new(uv_timer_t);
	uv_timer_init(cs->sigchld.loop, c->deliver);
	c->deliver->data = c;
	uv_timer_start(c->deliver, child_deliver, 0, 0);
}

void child_kill(const struct child *c, int signal)
{
	if (!c->pid)
		return;
	assert(c->pid > 1); /* -1 would be everybody */
	/* The group may not exist yet: the child calls setsid() itself. */
	if (kill(-c->pid, signal) < 0)
		kill(c->pid, signal);
}

void child_abandon(struct child *c)
{
	if (!c->pid)
		return;
	if (c->deliver) {
		uv_close((uv_handle_t *)TAKE(c->deliver), child_deliver_closed);
	}
	child_kill(c, SIGKILL);
	c->pid = 0;
	list_remove(&c->link);
}

void child_describe(int status, char *out, size_t n)
{
	if (WIFEXITED(status))
		snprintf(out, n, "exited with code %d", WEXITSTATUS(status));
	else
		snprintf(out, n, "was killed by signal %d (%s)", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
}
