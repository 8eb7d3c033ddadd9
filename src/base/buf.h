/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A byte buffer that grows up to a bound given at birth. Reaching the bound is remembered: later
 * appends do nothing, so a writer may append many times and check `buf_overflowed()` once.
 * One owner, no locking.
 */

#include <stdarg.h>
#include "base/slice.h"
#include "base/util.h"

struct buf {
	char *p;
	size_t n;    /* bytes used */
	size_t room; /* bytes allocated; one more than max at most */
	size_t max;  /* the bound */
	bool overflowed;
};

#define BUF_INIT(bound) ((struct buf){ .max = (bound) })

void buf_init(struct buf *b, size_t max);
void buf_finish(struct buf *b); /* frees; NULL is fine */
void buf_clear(struct buf *b);  /* empties, keeps the memory */

/* All return 0, or -ENOBUFS when the bound was reached (now or earlier); then nothing was added. */
int buf_append_more(struct buf *b, const void *p, size_t n); /* where memory may be needed */
static inline int buf_append(struct buf *b, const void *p, size_t n)
{
	if (n >= b->room - b->n || b->overflowed)
		return buf_append_more(b, p, n);
	if (n)
		memcpy(b->p + b->n, p, n);
	b->n += n;
	return 0;
}
static inline int buf_puts(struct buf *b, const char *s)
{
	return buf_append(b, s, strlen(s));
}
static inline int buf_putc(struct buf *b, char c)
{
	return buf_append(b, &c, 1);
}
static inline int buf_put_slice(struct buf *b, struct slice s)
{
	return buf_append(b, s.p, s.n);
}
int buf_put_u64(struct buf *b, uint64_t v); /* decimal; much cheaper than printf */
int buf_printf(struct buf *b, const char *fmt, ...) _printf_(2, 3);
int buf_vprintf(struct buf *b, const char *fmt, va_list ap);
/* Makes room for n more bytes and returns where they go; NULL at the bound. Call buf_added()
 * with what was written. */
char *buf_reserve(struct buf *b, size_t n);
void buf_added(struct buf *b, size_t n);
/* Drops n bytes from the front. */
void buf_drop(struct buf *b, size_t n);

/* NUL-terminates (the NUL is not counted) and returns the text, "" when empty. */
const char *buf_cstr(struct buf *b);
/* Gives the NUL-terminated text away: free() it. The buffer is empty afterwards. */
char *buf_steal(struct buf *b);

static inline bool buf_overflowed(const struct buf *b)
{
	return b->overflowed;
}

static inline struct slice buf_slice(const struct buf *b)
{
	return slice_make(b->p, b->n);
}
