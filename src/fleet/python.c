/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/python.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/mem.h"

#define PYTHON_PROBE_MS 10000

extern char **environ;

/* Waits for a process, but not for ever. True when it exited with 0. */
static bool python_wait(pid_t pid)
{
	_cleanup_(closep) int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int status = -1;

	if (fd >= 0 && poll(&p, 1, PYTHON_PROBE_MS) != 1)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool python_works(const char *path)
{
	static char isolated[] = "-I", bare[] = "-S", command[] = "-c",
		    check[] = "import sys; sys.exit(sys.version_info < (3, 9))";
	char *argv[] = { (char *)(uintptr_t)path, isolated, bare, command, check, NULL };
	posix_spawn_file_actions_t quiet;
	pid_t pid;
	int r;

	if (access(path, X_OK) < 0)
		return false;
	posix_spawn_file_actions_init(&quiet);
	for (int fd = 0; fd < 3; fd++)
		posix_spawn_file_actions_addopen(&quiet, fd, "/dev/null", O_RDWR, 0);
	r = posix_spawn(&pid, path, &quiet, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&quiet);
	return r == 0 && python_wait(pid);
}

/* A name without a slash is looked up as a shell would. */
static char *python_search(struct slice name)
{
	struct slice path = slice_str(getenv("PATH"));

	if (slice_find(name, '/') >= 0) {
		char *whole = slice_dup(name);

		return python_works(whole) ? whole : (free(whole), NULL);
	}
	while (path.p) {
		struct slice dir = slice_cut(&path, ':');
		char *candidate = mem_printf("%.*s/%.*s", SLICE_ARG(dir), SLICE_ARG(name));

		if (dir.n && python_works(candidate))
			return candidate;
		free(candidate);
	}
	return NULL;
}

/* Beside the executable's folder when installed, in the source tree when run from build/bin. */
static char *python_packages(void)
{
	static const char *const places[] = { "../lib/sconce/python", "../../python" };
	const char *home = getenv("SCONCE_PYTHON_PATH");
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (home && *home)
		return mem_strdup(home);
	if (n <= 0)
		return NULL;
	self[n] = '\0';
	slash = strrchr(self, '/');
	for (size_t i = 0; slash && i < ARRAY_LEN(places); i++) {
		_cleanup_(freep) char *worker =
			mem_printf("%.*s/%s/sconce/worker.py", (int)(slash - self), self, places[i]);
		_cleanup_(freep) char *dir =
			mem_printf("%.*s/%s", (int)(slash - self), self, places[i]);

		if (access(worker, R_OK) == 0)
			return realpath(dir, NULL);
	}
	return NULL;
}

void python_find(struct python *p, const char *wanted)
{
	bool given = wanted && *wanted;

	*p = (struct python){ 0 };
	p->executable = python_search(given ? slice_str(wanted) : SLICE("python3"));
	if (!p->executable && given)
		p->why = mem_printf("python: '%s' is not a Python 3.9 or newer that runs", wanted);
	else if (!p->executable)
		p->why = mem_strdup("No Python 3.9 or newer was found on the PATH: install python3, "
				    "or set python=/path/to/python3");
	p->packages = python_packages();
	if (!p->packages && !p->why)
		p->why = mem_strdup("The Python packages that belong to this server were not found: "
				    "reinstall it, or set SCONCE_PYTHON_PATH");
}

void python_finish(struct python *p)
{
	free(p->executable);
	free(p->packages);
	free(p->why);
	*p = (struct python){ 0 };
}
