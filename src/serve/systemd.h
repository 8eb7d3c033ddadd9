/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a service and systemd tell each other: the sockets that it holds for us, that we are ready,
 * what we are at, and that we are alive. All of it comes in variables of the environment, so that
 * there is nothing to set, and without them nothing happens. The protocols are promised to stay
 * (sd_listen_fds(3), sd_notify(3), sd_watchdog_enabled(3)). Loop thread only.
 */

#include <sys/socket.h>
#include <sys/un.h>
#include <uv.h>

#include "base/buf.h"

#define SYSTEMD_SOCKETS_MAX 8

struct systemd_socket {
	char *name; /* FileDescriptorName= of its unit */
	int fd;     /* -1: taken */
};

struct systemd {
	struct systemd_socket sockets[SYSTEMD_SOCKETS_MAX];
	unsigned n_sockets;
	int notify; /* -1: nobody listens */
	struct sockaddr_un to;
	socklen_t to_size;
	uint64_t watchdog_ms; /* 0: it does not wait for signs of life */
	uv_timer_t *watchdog; /* NULL: not started */
};

/* Takes the variables out of the environment, which workers inherit. -EINVAL when they are not as
 * systemd makes them, with a sentence. Always to be finished. */
int systemd_init(struct systemd *s, struct buf *why);
void systemd_finish(struct systemd *s);

/* The socket of this name, which is the caller's from now on; -1: there is none. */
int systemd_take_socket(struct systemd *s, const char *name);
bool systemd_has_socket(const struct systemd *s, const char *name);
/* The name of one that nobody took; NULL: all were. */
const char *systemd_stray_socket(const struct systemd *s);

/* Begins to give signs of life, where systemd waits for them. */
void systemd_watch(struct systemd *s, uv_loop_t *loop);
/* Assignments, one a line: "READY=1\nSTATUS=…". Never waits; what does not fit is lost. */
void systemd_tell(const struct systemd *s, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
