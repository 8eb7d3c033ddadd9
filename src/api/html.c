/* SPDX-License-Identifier: Apache-2.0 */
#include "api/html.h"

#include <stdarg.h>
#include <stdio.h>

#include "wire/frame.h"

static const char html_style[] =
	":root{color-scheme:light dark}"
	"body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
	"h1{font-size:1.5rem;margin:0}h2{font-size:1.15rem;margin:2rem 0 .5rem}"
	"p{margin:.5rem 0}small,.dim{opacity:.65}"
	"table{border-collapse:collapse;width:100%}"
	"th,td{text-align:left;padding:.35rem .75rem .35rem 0;border-bottom:1px solid #8884;"
	"vertical-align:top}th{font-weight:600}td{overflow-wrap:anywhere}"
	"td.n,th.n{text-align:right}td:last-child,th:last-child{padding-right:0}"
	"@media(max-width:30rem){table{font-size:14px}th,td{padding-right:.5rem}"
	".wide{display:none}}"
	"code,pre{font:14px/1.45 ui-monospace,monospace;overflow-wrap:anywhere}"
	"pre{background:#8882;padding:.75rem 1rem;border-radius:6px;white-space:pre-wrap}"
	".bad small{opacity:1;font-weight:400}"
	".ok,.bad{font-weight:600}.ok{color:#18794e}.bad{color:#cd2b31}"
	"@media(prefers-color-scheme:dark){.ok{color:#4cc38a}.bad{color:#ff6369}}"
	"details{margin:.5rem 0;padding:.5rem .75rem;border:1px solid #8884;border-radius:6px}"
	"summary{cursor:pointer}summary b{display:inline-block;min-width:4.5rem}";

bool html_wanted(const struct call *c)
{
	struct slice accept = http_head_get(&c->x->head, "accept");

	if (!slice_eq(c->x->head.method, SLICE("GET")))
		return false;
	while (accept.n) {
		struct slice range = slice_cut(&accept, ',');

		if (slice_ieq(slice_trim(slice_cut(&range, ';')), SLICE("text/html")))
			return true;
	}
	return false;
}

void html_put(struct buf *b, struct slice text)
{
	for (size_t i = 0; i < text.n; i++) {
		switch (text.p[i]) {
		case '<':
			buf_puts(b, "&lt;");
			break;
		case '>':
			buf_puts(b, "&gt;");
			break;
		case '&':
			buf_puts(b, "&amp;");
			break;
		case '"':
			buf_puts(b, "&quot;");
			break;
		case '\'':
			buf_puts(b, "&#39;");
			break;
		default:
			buf_putc(b, text.p[i]);
		}
	}
}

void html_printf(struct buf *b, const char *fmt, ...)
{
	struct buf text = BUF_INIT(65536);
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	html_put(b, buf_slice(&text));
	buf_finish(&text);
}

void html_begin(struct buf *b, const char *title)
{
	buf_puts(b, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
		    "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
		    "<title>");
	html_printf(b, "%s", title);
	buf_printf(b, "</title><style>%s</style></head><body>\n", html_style);
}

void html_end(struct buf *b)
{
	buf_puts(b, "</body></html>\n");
}

void html_answer(struct call *c, const struct buf *b)
{
	char block[256];
	size_t n = frame_header_put(block, sizeof(block), SLICE("Content-Security-Policy"),
				    SLICE("default-src 'none'; style-src 'unsafe-inline'"));
	struct reply r = { .status = 200,
			   .final = true,
			   .type = SLICE("text/html; charset=utf-8"),
			   .headers = slice_make(block, n),
			   .body = buf_slice(b) };

	call_send(c, &r);
}
