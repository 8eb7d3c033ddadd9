/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Version 4 UUIDs (RFC 9562) for request ids and names of temporary folders. Unique, fast (no
 * system call per id), but not secret: never use them as keys. One thread.
 */

#include <stdint.h>

#define UUID_LEN 36

/* Writes 36 characters and a NUL. */
void uuid_make(char out[UUID_LEN + 1]);
/* 64 bits of what they are made of. */
uint64_t uuid_random(void);
