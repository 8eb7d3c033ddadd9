/* SPDX-License-Identifier: Apache-2.0 */
#include "child/capture.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/util.h"

#define CAPTURE_ARGUMENTS_MAX 16
#define CAPTURE_CHUNK 4096

extern char **environ;

char *capture_find(struct slice name)
{
	struct slice path = slice_str(getenv("PATH"));

	while (path.p) {
		struct slice dir = slice_cut(&path, ':');
		char *candidate = mem_printf("%.*s/%.*s", SLICE_ARG(dir), SLICE_ARG(name));

		if (dir.n && access(candidate, X_OK) == 0)
			return candidate;
		free(candidate);
	}
	return NULL;
}

static int capture_spawn(const char *path, const char *const *arguments, int out_fd, pid_t *ret)
{
	char *argv[CAPTURE_ARGUMENTS_MAX + 2] = { (char *)(uintptr_t)path };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	int r;

	for (size_t i = 0; arguments[i] && i < CAPTURE_ARGUMENTS_MAX; i++)
		argv[i + 1] = (char *)(uintptr_t)arguments[i];
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&files, out_fd, STDOUT_FILENO);
	posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
	r = posix_spawn(ret, path, &files, &attributes, argv, environ);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attributes);
	return r ? err_origin(-r) : 0;
}

/* Until it is readable, or the deadline. */
static bool capture_wait(int fd, uint64_t deadline_ns)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int r;

	do {
		uint64_t now_ns = clock_now_ns();

		if (now_ns >= deadline_ns)
			return false;
		r = poll(&p, 1, (int)((deadline_ns - now_ns) / NS_PER_MS + 1));
	} while (r < 0 && errno == EINTR);
	return r == 1;
}

static int capture_read(int fd, uint64_t deadline_ns, struct buf *out)
{
	for (;;) {
		char *at = buf_reserve(out, CAPTURE_CHUNK);
		ssize_t n;

		if (!at)
			return -ENOBUFS;
		if (!capture_wait(fd, deadline_ns))
			return -ETIMEDOUT;
		n = read(fd, at, CAPTURE_CHUNK);
		if (n <= 0)
			return 0;
		buf_added(out, (size_t)n);
	}
}

int capture_run(const char *path, const char *const *arguments, unsigned limit_ms, struct buf *out)
{
	uint64_t deadline_ns = clock_now_ns() + limit_ms * NS_PER_MS;
	_cleanup_(closep) int pidfd = -1;
	int pair[2], status = -1, r;
	pid_t pid;

	if (pipe2(pair, O_CLOEXEC) < 0)
		return err_origin(-errno);
	r = capture_spawn(path, arguments, pair[1], &pid);
	close(pair[1]);
	if (r) {
		close(pair[0]);
		return err_trace(r);
	}
	r = capture_read(pair[0], deadline_ns, out);
	close(pair[0]);
	/* It may have closed its output and live on. */
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (!r && pidfd >= 0 && !capture_wait(pidfd, deadline_ns))
		r = -ETIMEDOUT;
	if (r)
		kill(-pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!r && !(WIFEXITED(status) && WEXITSTATUS(status) == 0))
		r = -EIO;
	return r;
}
