/* SPDX-License-Identifier: Apache-2.0 */
#include "kit/kit.h"

#include <stdarg.h>
#include <stdio.h>

/* Runtimes write over several lines. */
static void one_line(char *text)
{
	char *begin = text, *to = text;

	for (; *text; text++) {
		if ((unsigned char)*text >= ' ')
			*to++ = *text;
		else if (to > begin && to[-1] != ' ' && text[1])
			*to++ = ' ';
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
	return kit_fail(e, -1, "out of memory");
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
