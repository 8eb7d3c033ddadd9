/* SPDX-License-Identifier: Apache-2.0 */
#include "kit/kit.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Bytes of the character there; 0: it is none of UTF-8. */
static size_t character(const unsigned char *p)
{
	size_t n = *p < 0x80   ? 1
		   : *p < 0xc2 ? 0
		   : *p < 0xe0 ? 2
		   : *p < 0xf0 ? 3
		   : *p < 0xf5 ? 4
			       : 0;

	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

/* Runtimes write over several lines, and what is in a broken file. */
static void one_line(char *text)
{
	char *begin = text, *to = text;
	size_t n;

	for (; *text; text += n ? n : 1) {
		n = character((const unsigned char *)text);
		if (n > 1 || (unsigned char)*text >= ' ') {
			memmove(to, n ? text : "?", n ? n : 1);
			to += n ? n : 1;
		} else if (to > begin && to[-1] != ' ' && text[1]) {
			*to++ = ' ';
		}
	}
	*to = '\0';
}

int kit_fail(struct sconce_error *e, int r, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(e->text, sizeof(e->text), format, args);
	va_end(args);
	one_line(e->text);
	return r;
}

int kit_no_memory(struct sconce_error *e)
{
	return kit_fail(e, SCONCE_NO_MEMORY, "out of memory");
}

void kit_log(const struct sconce_host *host, int level, const char *format, ...)
{
	char line[2 * SCONCE_ERROR_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	one_line(line);
	if (SCONCE_HAS(host, log) && host->log)
		host->log(host, level, line);
}
