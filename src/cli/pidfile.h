/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The file that says which process is the server: its number in decimal, locked for as long as the
 * server lives, so a number that has gone to somebody else is never taken for the server's.
 */

#include <stdbool.h>
#include <sys/types.h>

/* Writes this process's number and locks the file. Returns a descriptor that keeps the lock, or
 * -EBUSY when a server that lives has it, or another -errno. */
int pidfile_claim(const char *path);

/* Removes the file and ends the claim. */
void pidfile_release(const char *path, int fd);

enum pidfile_state {
	PIDFILE_NONE,   /* there is no such file */
	PIDFILE_ORPHAN, /* its server is gone, or it never was a server's */
	PIDFILE_ALIVE,  /* *pid is the server */
};

enum pidfile_state pidfile_look(const char *path, pid_t *pid);

/* Waits for a process to end. False: it has not in time. */
bool pidfile_wait(pid_t pid, int timeout_ms);
