/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * How far another process is with what it does: two numbers in a nameless file that both have open.
 * It writes them whenever it likes, we look when somebody asks. What it says is shown to people;
 * besides, who says nothing new for long may be taken for stuck.
 */

#include <stdint.h>

struct progress {
	uint64_t done, total; /* bytes; total 0: nobody knows */
	uint64_t steps;       /* that it has told of */
};

/* A descriptor (close-on-exec), or -errno. */
int progress_create(void);
/* `fd` 0 or less: nobody asks. */
void progress_tell(int fd, uint64_t done, uint64_t total);
/* Zeros where nothing was told. Never blocks. */
struct progress progress_read(int fd);
