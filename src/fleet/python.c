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

/* The interpreter behind `path`, or NULL when it does not work: version managers put a slow script
 * in front of it, which workers should not go through again. */
static char *python_resolve(const char *path)
{
	static char isolated[] = "-I", bare[] = "-S", command[] = "-c",
		    check[] = "import sys; sys.stdout.write(sys.executable); "
			      "sys.exit(sys.version_info < (3, 9))";
	char *argv[] = { (char *)(uintptr_t)path, isolated, bare, command, check, NULL };
	char real[4096];
	posix_spawn_file_actions_t files;
	int pair[2], r;
	ssize_t n;
	pid_t pid;

	if (access(path, X_OK) < 0 || pipe2(pair, O_CLOEXEC) < 0)
		return NULL;
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&files, pair[1], STDOUT_FILENO);
	posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	r = posix_spawn(&pid, path, &files, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&files);
	close(pair[1]);
	if (r || !python_wait(pid)) {
		close(pair[0]);
		return NULL;
	}
	n = read(pair[0], real, sizeof(real));
	close(pair[0]);
	return n > 0 && real[0] == '/' ? mem_strndup(real, (size_t)n) : mem_strdup(path);
}

/* What was set as a path is run as that path: its owner may have wrapped an interpreter. */
static char *python_check(struct slice path)
{
	_cleanup_(freep) char *given = slice_dup(path), *cwd = getcwd(NULL, 0);
	_cleanup_(freep) char *real = python_resolve(given);

	if (!real || given[0] == '/')
		return real ? TAKE(given) : NULL;
	return cwd ? mem_printf("%s/%s", cwd, given) : NULL;
}

/* A name without a slash is looked up as a shell would. */
static char *python_search(struct slice name)
{
	struct slice path = slice_str(getenv("PATH"));

	if (slice_find(name, '/') >= 0)
		return python_check(name);
	while (path.p) {
		struct slice dir = slice_cut(&path, ':');
		_cleanup_(freep) char *candidate = mem_printf("%.*s/%.*s", SLICE_ARG(dir),
							      SLICE_ARG(name));
		char *real = dir.n ? python_resolve(candidate) : NULL;

		if (real)
			return real;
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
		_cleanup_(freep) char *worker = mem_printf("%.*s/%s/sconce/worker.py",
							   (int)(slash - self), self, places[i]);
		_cleanup_(freep) char *dir = mem_printf("%.*s/%s", (int)(slash - self), self,
							places[i]);

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
		p->why = mem_strdup(
			"No Python 3.9 or newer was found on the PATH: install python3, "
			"or set python=/path/to/python3");
	p->packages = python_packages();
	if (!p->packages && !p->why)
		p->why = mem_strdup(
			"The Python packages that belong to this server were not found: "
			"reinstall it, or set SCONCE_PYTHON_PATH");
}

void python_finish(struct python *p)
{
	free(p->executable);
	free(p->packages);
	free(p->why);
	*p = (struct python){ 0 };
}
