/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* The file in which a server notes its process id for `torchserve --stop`. */

int pidfile_write(const char *path, pid_t pid);
pid_t pidfile_read(const char *path);             /* 0: none, or not a number */
void pidfile_remove(const char *path, pid_t pid); /* only if it still names this process */
/* Waits until the process is gone. False when it was not within that time. */
bool pidfile_wait(pid_t pid, int timeout_ms);
