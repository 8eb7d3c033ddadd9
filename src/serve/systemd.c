/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/systemd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/util.h"
#include "log/log.h"
#include "loop/turn.h"

#define SYSTEMD_FIRST_FD 3
#define SYSTEMD_TOLD_MAX 1024

/* Are these variables meant for this process? Children of a service inherit those of their parent.
 */
static bool systemd_means_us(const char *variable)
{
	uint64_t pid;

	return slice_u64(slice_str(getenv(variable)), &pid) && pid == (uint64_t)getpid();
}

/* ---- sockets ---- */

static int systemd_keep_sockets(struct systemd *s, uint64_t n, struct buf *why)
{
	struct slice names = slice_str(getenv("LISTEN_FDNAMES"));

	if (n > SYSTEMD_SOCKETS_MAX) {
		buf_printf(why, "systemd hands over %llu sockets, more than %d",
			   (unsigned long long)n, SYSTEMD_SOCKETS_MAX);
		return err_origin(-EINVAL);
	}
	for (uint64_t i = 0; i < n; i++) {
		struct systemd_socket *one = &s->sockets[s->n_sockets];
		int fd = SYSTEMD_FIRST_FD + (int)i;

		if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
			buf_printf(why, "LISTEN_FDS is %llu, but there is no file %d",
				   (unsigned long long)n, fd);
			return err_origin(-EINVAL);
		}
		one->name = slice_dup(slice_cut(&names, ':'));
		one->fd = fd;
		s->n_sockets++;
	}
	return 0;
}

static int systemd_read_sockets(struct systemd *s, struct buf *why)
{
	const char *text = getenv("LISTEN_FDS");
	uint64_t n;

	if (!text || !systemd_means_us("LISTEN_PID"))
		return 0;
	if (!slice_u64(slice_str(text), &n)) {
		buf_printf(why, "LISTEN_FDS: '%s' is no number of sockets", text);
		return err_origin(-EINVAL);
	}
	return systemd_keep_sockets(s, n, why);
}

static struct systemd_socket *systemd_find(const struct systemd *s, const char *name)
{
	for (unsigned i = 0; i < s->n_sockets; i++)
		if (s->sockets[i].fd >= 0 && strcmp(s->sockets[i].name, name) == 0)
			return (struct systemd_socket *)&s->sockets[i];
	return NULL;
}

int systemd_take_socket(struct systemd *s, const char *name)
{
	struct systemd_socket *found = systemd_find(s, name);
	int fd = found ? found->fd : -1;

	if (found)
		found->fd = -1;
	return fd;
}

bool systemd_has_socket(const struct systemd *s, const char *name)
{
	return systemd_find(s, name) != NULL;
}

const char *systemd_stray_socket(const struct systemd *s)
{
	for (unsigned i = 0; i < s->n_sockets; i++)
		if (s->sockets[i].fd >= 0)
			return s->sockets[i].name;
	return NULL;
}

/* ---- what we tell ---- */

/* A path, or a name in the kernel's own space of names, which begins with '@'. */
static int systemd_find_listener(struct systemd *s, struct buf *why)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t n = path ? strlen(path) : 0;

	if (!n)
		return 0;
	if ((path[0] != '/' && path[0] != '@') || n >= sizeof(s->to.sun_path)) {
		buf_printf(why, "NOTIFY_SOCKET: '%s' is no place of a Unix socket", path);
		return err_origin(-EINVAL);
	}
	s->to.sun_family = AF_UNIX;
	memcpy(s->to.sun_path, path, n);
	if (path[0] == '@')
		s->to.sun_path[0] = '\0';
	s->to_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
	s->notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return s->notify < 0 ? err_origin(-errno) : 0;
}

void systemd_tell(const struct systemd *s, const char *fmt, ...)
{
	char text[SYSTEMD_TOLD_MAX];
	va_list args;
	int n;

	if (s->notify < 0)
		return;
	va_start(args, fmt);
	n = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	sendto(s->notify, text, MIN((size_t)n, sizeof(text) - 1), MSG_NOSIGNAL | MSG_DONTWAIT,
	       (const struct sockaddr *)&s->to, s->to_size);
}

/* A loop that does not turn gives no sign. */
static void systemd_sign(uv_timer_t *t)
{
	TURN(t);
	systemd_tell(t->data, "WATCHDOG=1");
}

void systemd_watch(struct systemd *s, uv_loop_t *loop)
{
	if (!s->watchdog_ms || s->notify < 0)
		return;
	s->watchdog = mem_new(uv_timer_t);
	uv_timer_init(loop, s->watchdog);
	s->watchdog->data = s;
	uv_timer_start(s->watchdog, systemd_sign, 0, MAX(s->watchdog_ms / 2, 1));
	uv_unref((uv_handle_t *)s->watchdog);
}

static void systemd_read_watchdog(struct systemd *s)
{
	uint64_t us;

	if (!slice_u64(slice_str(getenv("WATCHDOG_USEC")), &us) || us == 0)
		return;
	if (getenv("WATCHDOG_PID") && !systemd_means_us("WATCHDOG_PID"))
		return;
	s->watchdog_ms = MAX(us / 1000, 1);
}

int systemd_init(struct systemd *s, struct buf *why)
{
	static const char *const all[] = { "LISTEN_PID",    "LISTEN_FDS",    "LISTEN_FDNAMES",
					   "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID" };
	int r;

	*s = (struct systemd){ .notify = -1 };
	r = systemd_read_sockets(s, why);
	if (!r)
		r = systemd_find_listener(s, why);
	systemd_read_watchdog(s);
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		unsetenv(all[i]);
	return r;
}

void systemd_finish(struct systemd *s)
{
	for (unsigned i = 0; i < s->n_sockets; i++) {
		closep(&s->sockets[i].fd);
		free(s->sockets[i].name);
	}
	s->n_sockets = 0;
	closep(&s->notify);
	free(s->watchdog);
	s->watchdog = NULL;
}
