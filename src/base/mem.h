/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Memory for the server's own bookkeeping. These never return NULL: a process that cannot allocate
 * a few hundred bytes cannot answer for anything, so it prints one line and aborts.
 *
 * What a client decides the size of never comes from here: bodies, replies and decoded documents
 * come from the budgeted pool (pool/) or from a `struct buf` with a bound, where running out is an
 * answer. Release with free(). Any thread.
 */

#include <stddef.h>

void *mem_alloc(size_t n);                  /* uninitialised */
void *mem_zalloc(size_t n);                 /* zeroed */
void *mem_realloc(void *p, size_t n);       /* like realloc(), n > 0 */
char *mem_strdup(const char *s);            /* NULL gives NULL */
char *mem_strndup(const char *s, size_t n); /* copies n bytes and adds the NUL */
char *mem_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#define mem_new(type) ((type *)mem_zalloc(sizeof(type)))
