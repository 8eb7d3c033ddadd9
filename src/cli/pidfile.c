/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/util.h"

#define PIDFILE_ASK_MS 50

static struct flock pidfile_lock(void)
{
	return (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET };
}

int pidfile_claim(const char *path)
{
	_cleanup_(closep) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	struct flock lock = pidfile_lock();
	char text[32];
	int n = snprintf(text, sizeof(text), "%d", (int)getpid());

	if (fd < 0)
		return -errno;
	if (fcntl(fd, F_SETLK, &lock) < 0)
		return errno == EACCES || errno == EAGAIN ? -EBUSY : -errno;
	if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)n, 0) != n)
		return -EIO;
	n = fd;
	fd = -1;
	return n;
}

void pidfile_release(const char *path, int fd)
{
	if (fd < 0)
		return;
	unlink(path);
	close(fd);
}

enum pidfile_state pidfile_look(const char *path, pid_t *pid)
{
	_cleanup_(closep) int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	struct flock lock = pidfile_lock();

	if (fd < 0)
		return errno == ENOENT ? PIDFILE_NONE : PIDFILE_ORPHAN;
	if (fcntl(fd, F_GETLK, &lock) < 0 || lock.l_type == F_UNLCK || lock.l_pid <= 0)
		return PIDFILE_ORPHAN;
	*pid = lock.l_pid;
	return PIDFILE_ALIVE;
}

/* Where the system has no pidfd_open(), or a sandbox forbids it. */
static bool pidfile_wait_asking(pid_t pid, int timeout_ms)
{
	while (kill(pid, 0) == 0 || errno != ESRCH) {
		if (timeout_ms <= 0)
			return false;
		poll(NULL, 0, MIN(timeout_ms, PIDFILE_ASK_MS));
		timeout_ms -= PIDFILE_ASK_MS;
	}
	return true;
}

bool pidfile_wait(pid_t pid, int timeout_ms)
{
	_cleanup_(closep) int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd p = { .fd = fd, .events = POLLIN };

	if (fd < 0)
		return errno == ESRCH || pidfile_wait_asking(pid, timeout_ms);
	return poll(&p, 1, timeout_ms) == 1;
}
