/* SPDX-License-Identifier: Apache-2.0 */
#include "archive/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "wire/json.h"

int archive_fail(struct archive_error *err, int status, const char *type, const char *fmt, ...)
{
	char text[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	err->status = status;
	err->type = type;
	buf_clear(&err->message);
	buf_puts(&err->message, text);
	return -EINVAL;
}

void archive_error_write_json(const struct archive_error *err, struct buf *out)
{
	buf_printf(out, "{\"ok\":false,\"status\":%d,\"type\":", err->status);
	json_put_string(out, slice_str(err->type));
	buf_puts(out, ",\"message\":");
	json_put_string(out, buf_slice(&err->message));
	buf_puts(out, "}\n");
}
