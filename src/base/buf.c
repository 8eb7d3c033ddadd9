/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"

#define BUF_FIRST 256

void buf_init(struct buf *b, size_t max)
{
	*b = BUF_INIT(max);
}

void buf_finish(struct buf *b)
{
	if (!b)
		return;
	free(b->p);
	*b = BUF_INIT(b->max);
}

void buf_clear(struct buf *b)
{
	b->n = 0;
	b->overflowed = false;
}

char *buf_reserve(struct buf *b, size_t n)
{
	size_t room;

	if (b->overflowed || n > b->max || b->n > b->max - n) {
		b->overflowed = true;
		return NULL;
	}
	if (b->n + n < b->room)
		return b->p + b->n;
	/* One byte more than asked, so that buf_cstr() never has to grow. */
	room = MAX(b->room * 2, (size_t)BUF_FIRST);
	room = MAX(room, b->n + n + 1);
	room = MIN(room - 1, b->max) + 1;
	b->p = mem_realloc(b->p, room);
	b->room = room;
	return b->p + b->n;
}

void buf_added(struct buf *b, size_t n)
{
	assert(b->n + n < b->room || n == 0);
	b->n += n;
}

int buf_append_more(struct buf *b, const void *p, size_t n)
{
	char *at = buf_reserve(b, n);

	if (!at)
		return -ENOBUFS;
	if (n)
		memcpy(at, p, n);
	b->n += n;
	return 0;
}

int buf_put_u64(struct buf *b, uint64_t v)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	return buf_append(b, digits + at, sizeof(digits) - at);
}

int buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
	va_list again;
	char *at;
	int n;

	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	assert(n >= 0);
	at = buf_reserve(b, (size_t)n + 1);
	if (!at)
		return -ENOBUFS;
	vsnprintf(at, (size_t)n + 1, fmt, ap);
	b->n += (size_t)n;
	return 0;
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = buf_vprintf(b, fmt, ap);
	va_end(ap);
	return r;
}

void buf_drop(struct buf *b, size_t n)
{
	assert(n <= b->n);
	if (n && n < b->n)
		memmove(b->p, b->p + n, b->n - n);
	b->n -= n;
}

const char *buf_cstr(struct buf *b)
{
	if (!b->p)
		return "";
	b->p[b->n] = '\0';
	return b->p;
}

char *buf_steal(struct buf *b)
{
	char *p = b->p ? b->p : mem_strdup("");

	p[b->n] = '\0';
	*b = BUF_INIT(b->max);
	return p;
}
