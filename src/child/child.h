/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Child processes of the front: starting them, and being told of their end. Ends come from SIGCHLD
 * and waitpid(), never from end-of-file, because a child's own child may hold the socket. Every
 * child runs in a session of its own, dies with the front (PDEATHSIG), is killed as a group, has
 * none of our descriptors but those that it is given, and may open as many files as the front could
 * when this began, unless that is too few. Loop thread only.
 */

#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <uv.h>

#include "base/list.h"

#define CHILDREN_STRAYS 64
#define CHILDREN_FILES_MIN 64           /* with fewer none gets as far as its main() */
#define CHILD_STATUS_UNKNOWN (255 << 8) /* as if it had exited with 255 */

struct children {
	struct list all;
	struct rlimit files; /* that children may open: as many as we could at first */
	uv_signal_t sigchld;
	/* Ends of processes nobody has claimed yet: a worker forked by the zygote may die before
	 * its pid has reached us. Oldest is overwritten, for any process that a handler leaves
	 * behind ends here, too: then it is only known that it has ended, no longer how. */
	struct {
		pid_t pid;
		int status;
	} strays[CHILDREN_STRAYS];
	unsigned next_stray;
};

struct child {
	struct list link;
	struct children *children;
	pid_t pid; /* 0: not running */
	/* `status` is as from waitpid(). The child is unlinked and may be reused. */
	void (*exited)(struct child *c, int status);
	/* A stray's end is delivered from the loop, not from inside child_adopt(). */
	int stray_status;
	uv_timer_t *deliver;
};

struct spawn {
	const char *file; /* path, no search */
	char *const *argv;
	char *const *environment;
	const char *cwd; /* NULL: ours */
	int fds[4];      /* become 0, 1, 2, 3 in the child; -1: /dev/null */
};

int children_init(struct children *cs, uv_loop_t *loop);
void children_finish(struct children *cs);

/* Starts a process. 0, or -errno (then `exited` is never called). A file that cannot be executed
 * shows as exit code 127. */
int child_spawn(struct children *cs, struct child *c, const struct spawn *s,
		void (*exited)(struct child *c, int status));
/* Takes over a process that somebody else forked for us (we are its reaper). */
void child_adopt(struct children *cs, struct child *c, pid_t pid,
		 void (*exited)(struct child *c, int status));
/* Signals the whole group; harmless when it does not run. */
void child_kill(const struct child *c, int signal);
/* Forgets the child: its end will not be reported. Kills its group. */
void child_abandon(struct child *c);
/* "exited with code 3", "killed by signal 9 (Killed)"; into `out`. */
void child_describe(int status, char *out, size_t n);
