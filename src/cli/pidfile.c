/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/pidfile.h"

#include <poll.h>
#include <stdio.h>
#include <sys/syscall.h>

#include "base/file.h"
#include "base/util.h"

int pidfile_write(const char *path, pid_t pid)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%d", (int)pid);

	return file_write_atomic(path, slice_make(text, (size_t)n), 0644);
}

pid_t pidfile_read(const char *path)
{
	struct buf b = BUF_INIT(64);
	struct slice text;
	uint64_t pid = 0;

	if (file_read(path, &b) == 0) {
		text = buf_slice(&b);
		while (text.n && (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == ' '))
			text.n--;
		if (!slice_u64(text, &pid) || pid > INT32_MAX)
			pid = 0;
	}
	buf_finish(&b);
	return (pid_t)pid;
}

void pidfile_remove(const char *path, pid_t pid)
{
	if (pidfile_read(path) == pid)
		unlink(path);
}

bool pidfile_wait(pid_t pid, int timeout_ms)
{
	_cleanup_(closep) int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return fd < 0 || poll(&p, 1, timeout_ms) == 1;
}
