/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/maker.h"

/* A fresh interpreter per worker: slow to start, but it can be any Python, on any CPUs. */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "fleet/environment.h"
#include "fleet/python.h"

#define PYTHON_ARGUMENTS_MAX 16

const struct worker_maker *const makers_all[] = { &maker_native, &maker_ranks,  &maker_pinned,
						  &maker_zygote, &maker_python, NULL };

int python_spawn(struct worker *w, struct child *c, const char *const *arguments, int rank,
		 const int ends[4], void (*exited)(struct child *c, int status))
{
	_cleanup_(freep) char *number = mem_printf("%d", rank);
	const char *python = w->model.python ? w->model.python : w->shared->python->executable;
	char **environment = worker_environment(w->shared, w, (unsigned)MAX(rank, 0));
	const char *argv[PYTHON_ARGUMENTS_MAX] = { python, "-m" };
	struct spawn s = { .file = python, .environment = environment, .cwd = w->model.dir };
	size_t n = 2;
	int r;

	if (w->shared->python->why) {
		environment_free(environment);
		free(w->load_message);
		w->load_message = mem_strdup(w->shared->python->why);
		return err_origin(-ENOEXEC);
	}
	while (*arguments)
		argv[n++] = *arguments++;
	argv[n++] = "--fd";
	argv[n++] = "3";
	if (rank >= 0) {
		argv[n++] = "--rank";
		argv[n++] = number;
	}
	assert(n < ARRAY_LEN(argv));
	s.argv = (char *const *)(uintptr_t)argv; /* execve() does not write them */
	memcpy(s.fds, ends, sizeof(s.fds));
	r = child_spawn(w->shared->children, c, &s, exited);
	environment_free(environment);
	return r < 0 ? err_trace(r) : 0;
}

static void python_exited(struct child *c, int status)
{
	worker_ended(container_of(c, struct worker, child), status, NULL);
}

static int python_start_with(struct worker *w, const char *const *arguments, const int ends[4])
{
	int r = python_spawn(w, &w->child, arguments, -1, ends, python_exited);

	if (r < 0)
		return err_trace(r);
	worker_started(w, w->child.pid);
	return 0;
}

static int python_start(struct worker *w, const int ends[4])
{
	static const char *const arguments[] = { "sconce.worker", NULL };

	return python_start_with(w, arguments, ends);
}

static void python_kill(struct worker *w)
{
	child_kill(&w->child, SIGKILL);
}

/* cpu_launcher_enable: it gets processors of its own. */
static bool pinned_suits(const struct worker *w)
{
	return w->shared->settings->cpu_launcher_enable;
}

static int pinned_start(struct worker *w, const int ends[4])
{
	_cleanup_(freep) char *workers = mem_printf("%u", MAX(w->ops->siblings(w->owner), 1));
	_cleanup_(freep) char *index = mem_printf("%u", w->index);
	const char *options = w->shared->settings->cpu_launcher_args;
	const char *const arguments[] = {
		"sconce.cpu_launcher",  "--workers", workers, "--worker", index, "--options",
		options ? options : "", "--",        NULL
	};

	return python_start_with(w, arguments, ends);
}

static unsigned pinned_threads(const struct worker *w)
{
	(void)w;
	return 0; /* as many as it gets processors: its launcher knows */
}

const struct worker_maker maker_python = {
	.name = "python",
	.start = python_start,
	.kill = python_kill,
};

const struct worker_maker maker_pinned = {
	.name = "python on CPUs of its own",
	.suits = pinned_suits,
	.start = pinned_start,
	.kill = python_kill,
	.threads = pinned_threads,
};
