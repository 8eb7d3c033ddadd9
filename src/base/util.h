/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The few macros the tree shares. Everything here is either an attribute or something that a
 * function cannot do.
 */

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/param.h> /* it defines MIN and MAX, and libuv's header includes it */
#include <unistd.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define ALIGN_UP(n, to) (((n) + (to)-1) & ~((to)-1))
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* Runs `f(&variable)` when the variable leaves its scope. */
#define _cleanup_(f) __attribute__((cleanup(f)))
#define _printf_(fmt, args) __attribute__((format(printf, fmt, args)))
#define _unused_ __attribute__((unused))

/* Steals a pointer from a variable that would otherwise be cleaned up. */
#define TAKE(p)                                                                                    \
	({                                                                                         \
		typeof(p) _t = (p);                                                                \
		(p) = NULL;                                                                        \
		_t;                                                                                \
	})

/* Defines `name`p, the cleanup function of a destructor that returns NULL. */
#define DEFINE_CLEANUP(type, f)                                                                    \
	static inline void f##p(type **ptr)                                                        \
	{                                                                                          \
		*ptr = f(*ptr);                                                                    \
	}

static inline void freep(void *ptr)
{
	free(*(void **)ptr);
}

static inline void closep(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}
