/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *mem_require(void *p)
{
	if (!p) {
		fputs("sconce: out of memory\n", stderr);
		abort();
	}
	return p;
}

void *mem_alloc(size_t n)
{
	return mem_require(malloc(n ? n : 1));
}

void *mem_zalloc(size_t n)
{
	return mem_require(calloc(1, n ? n : 1));
}

void *mem_realloc(void *p, size_t n)
{
	return mem_require(realloc(p, n ? n : 1));
}

char *mem_strdup(const char *s)
{
	return s ? mem_strndup(s, strlen(s)) : NULL;
}

char *mem_strndup(const char *s, size_t n)
{
	char *p = mem_alloc(n + 1);

	if (n)
		memcpy(p, s, n);
	p[n] = '\0';
	return p;
}

char *mem_printf(const char *fmt, ...)
{
	char *p;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&p, fmt, ap);
	va_end(ap);
	return mem_require(n < 0 ? NULL : p);
}
