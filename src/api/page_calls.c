/* SPDX-License-Identifier: Apache-2.0 */
#include "api/call.h"
#include "api/handlers.h"

/* The API's description as a page, from the same table as the document. */

#include <ctype.h>

#include "api/html.h"
#include "api/openapi_table.h"

#define PAGE_MAX ((size_t)1 << 20)

static void page_param(struct buf *b, const struct openapi_param *p)
{
	buf_puts(b, "<tr><td><code>");
	html_printf(b, "%s", p->name);
	buf_puts(b, "</code></td><td class=\"dim\">");
	html_printf(b, "%s%s", p->type, p->required ? ", required" : "");
	if (p->fallback)
		html_printf(b, ", default %s", p->fallback);
	buf_puts(b, "</td><td>");
	html_printf(b, "%s", p->text);
	buf_puts(b, "</td></tr>\n");
}

static void page_params(struct buf *b, struct slice keys)
{
	if (!keys.n)
		return;
	buf_puts(b, "<table>\n");
	while (keys.n) {
		struct slice key = slice_cut(&keys, ' ');

		page_param(b, openapi_param(key.p, key.n));
	}
	buf_puts(b, "</table>\n");
}

static void page_answers(struct buf *b, const struct openapi_operation *op)
{
	struct slice others = slice_str(op->others);

	buf_puts(b, "<p><b>200</b> ");
	html_printf(b, "%s", op->ok);
	while (others.n) {
		uint64_t status = 0;

		slice_u64(slice_cut(&others, ' '), &status);
		buf_printf(b, " · <b>%u</b> ", (unsigned)status);
		html_printf(b, "%s", openapi_answer((unsigned)status)->text);
	}
	buf_puts(b, "</p>\n");
}

static void page_operation(struct buf *b, const struct openapi_operation *op)
{
	buf_puts(b, "<details><summary><b>");
	for (const char *m = op->method; *m; m++)
		buf_putc(b, (char)toupper((unsigned char)*m));
	buf_puts(b, "</b> <code>");
	html_printf(b, "%s", op->path);
	buf_puts(b, "</code> <span class=\"dim\">");
	html_printf(b, "%s", op->text);
	buf_puts(b, "</span></summary>\n");
	if (op->body) {
		buf_puts(b, "<p>Body: ");
		html_printf(b, "%s", op->body);
		buf_puts(b, "</p>\n");
	}
	page_params(b, slice_str(op->params));
	page_answers(b, op);
	buf_puts(b, "</details>\n");
}

void page_calls(struct call *c)
{
	struct buf b = BUF_INIT(PAGE_MAX);

	html_begin(&b, "Calls of this address");
	buf_puts(&b, "<h1>Calls of this address</h1>\n<p>As an OpenAPI document: "
		     "<code>curl -X OPTIONS</code> this address, or without asking for HTML. "
		     "<a href=\"/\">What is served</a></p>\n");
	for (size_t i = 0; i < openapi_operations_n; i++)
		if (openapi_operations[i].roles & c->door->roles)
			page_operation(&b, &openapi_operations[i]);
	html_end(&b);
	html_answer(c, &b);
	buf_finish(&b);
}
