/* SPDX-License-Identifier: Apache-2.0 */
#include "api/call.h"
#include "api/handlers.h"

/*
 * What a browser sees at "/": what is served, whether it is well, how to call it. With
 * authorization on, models are shown to nobody, but for the names of those that are not ready,
 * which /readyz tells, too: browsers have no key to send. Programs get TorchServe's 405.
 */

#include "api/html.h"
#include "auth/tokens.h"
#include "config/host.h"
#include "fleet/worker.h"

#define PAGE_MAX ((size_t)4 << 20)

static void page_not_ready(void *arg, const char *model, const char *version, const char *why)
{
	struct buf *b = arg;

	buf_puts(b, "<p class=\"bad\">");
	/* What is wrong with an archive begins with its name. */
	if (!slice_starts(slice_str(why), slice_str(model)))
		html_printf(b, "%s%s%s: ", model, version ? " " : "", version ? version : "");
	html_printf(b, "%s", why);
	buf_puts(b, "</p>\n");
}

static void page_health(struct call *c, struct buf *b)
{
	struct buf missing = BUF_INIT(PAGE_MAX);
	bool ready = ready_check(&c->api->ready, &missing, page_not_ready);

	buf_puts(b, "<h1>sconce</h1>\n<p>");
	if (ready)
		buf_puts(b, "<span class=\"ok\">Ready.</span> ");
	else
		buf_puts(b, "<span class=\"bad\">Not ready.</span> ");
	buf_puts(b, "<small>Version " SCONCE_VERSION ", serves TorchServe " API_TORCHSERVE_VERSION
		    "'s API.</small></p>\n");
	buf_put_slice(b, buf_slice(&missing));
	buf_finish(&missing);
}

/* What the head of the page has not said. */
static const char *page_trouble(const struct version *v)
{
	struct buf why = BUF_INIT(PAGE_MAX);
	bool said = v->model && v->model->default_version == v && ready_why_not(v->model, &why);

	buf_finish(&why);
	return said ? NULL : v->failure;
}

static void page_version(struct buf *b, const struct version *v)
{
	unsigned ready = version_ready_workers(v);
	bool good = ready >= v->min_workers;
	const char *trouble = page_trouble(v);

	buf_puts(b, "<tr><td>");
	html_printf(b, "%s", v->model_name);
	buf_puts(b, "</td><td>");
	html_printf(b, "%s", v->name);
	if (v->model && v->model->default_version == v)
		buf_puts(b, " <small>default</small>");
	buf_printf(b, "</td><td class=\"%s\">%u of %u ready", good ? "ok" : "bad", ready,
		   v->min_workers);
	if (trouble) {
		buf_puts(b, "<br><small>");
		html_printf(b, "%s", trouble);
		buf_puts(b, "</small>");
	}
	buf_puts(b, "</td>");
	buf_printf(b, "<td class=\"n wide\">%u</td><td class=\"n\">%u</td></tr>\n", v->batch_size,
		   version_waiting(v));
}

static void page_no_models(struct call *c, struct buf *b)
{
	if (c->api->settings->enable_model_api)
		buf_puts(b, "<p>None yet. Register an archive of the model store:</p>\n"
			    "<pre>sconce models register ARCHIVE.mar --workers 1</pre>\n");
	else
		buf_puts(b, "<p>None. They are named at the start:</p>\n"
			    "<pre>sconce serve --model-store FOLDER --load-models all</pre>\n"
			    "<p>With <code>--enable-model-api</code>, too, they are registered "
			    "while it runs.</p>\n");
}

static void page_models(struct call *c, struct buf *b)
{
	size_t n;
	_cleanup_(freep) struct model **all = store_sorted(&c->api->fleet->store, &n);

	buf_puts(b, "<h2>Models</h2>\n");
	if (!n) {
		page_no_models(c, b);
		return;
	}
	buf_puts(b, "<table><tr><th>Model</th><th>Version</th><th>Workers</th>"
		    "<th class=\"n wide\">Batch size</th><th class=\"n\">Waiting</th></tr>\n");
	for (size_t i = 0; i < n; i++)
		list_for_each (l, &all[i]->versions)
			page_version(b, container_of(l, struct version, link));
	buf_puts(b, "</table>\n");
}

/* The address that the browser used is one that a command can use. */
static void page_command(struct call *c, struct buf *b, const char *what, const char *model)
{
	struct slice host = http_head_get(&c->x->head, "host");

	buf_puts(b, "<pre>curl ");
	if (c->api->tokens)
		buf_puts(b, "-H \"Authorization: Bearer $KEY\" ");
	html_printf(b, "%s http://%.*s", what, SLICE_ARG(host));
	html_printf(b, "/predictions/%s", model);
	buf_puts(b, "</pre>\n");
}

/* One that answers. */
static const char *page_example(const struct call *c)
{
	size_t n;
	_cleanup_(freep) struct model **all = store_sorted(&c->api->fleet->store, &n);

	for (size_t i = 0; i < n && !c->api->tokens; i++)
		if (version_ready_workers(all[i]->default_version))
			return all[i]->name;
	return "MODEL";
}

/* The console is at the management address; a browser of this machine can follow a link there. */
static void page_console(struct call *c, struct buf *b)
{
	static const struct slice http = SLICE_CONST("http://");
	struct slice host = http_head_get(&c->x->head, "host"),
		     address = slice_str(c->api->settings->management_address);

	if (c->door->roles & API_CONSOLE)
		buf_puts(b, " · <a href=\"/console\">Console</a>");
	if (c->door->roles & API_MANAGEMENT || !c->api->settings->console ||
	    !slice_starts(address, http))
		return;
	address = slice_make(address.p + http.n, address.n - http.n);
	host = slice_cut(&host, ':');
	if (!host_is_loopback(host) || !host_is_loopback(slice_cut(&address, ':')))
		return;
	buf_puts(b, " · <a href=\"http://");
	html_put(b, host);
	html_printf(b, ":%.*s/console", SLICE_ARG(address.n ? address : SLICE("80")));
	buf_puts(b, "\">Console</a>");
}

static void page_how(struct call *c, struct buf *b)
{
	const char *model = page_example(c);

	buf_puts(b, "<h2>Call a model</h2>\n");
	page_command(c, b, "-T photo.jpg", model);
	page_command(c, b, "--json '{\"data\": [1, 2, 3]}'", model);
	if (c->api->tokens) {
		buf_puts(b, "<p>$KEY is the inference key in the server's ");
		html_printf(b, "%s", tokens_file_name(c->api->tokens));
		buf_puts(b, ".</p>\n");
	}
	buf_puts(b, "<h2>More</h2>\n<p><a href=\"/api-description\">All calls of this address</a> "
		    "· <a href=\"/ping\">/ping</a> · <a href=\"/readyz\">/readyz</a>");
	page_console(c, b);
	buf_puts(b, "</p>\n");
}

void page_show(struct call *c)
{
	struct buf b = BUF_INIT(PAGE_MAX);

	if (!html_wanted(c)) {
		call_not_allowed(c);
		return;
	}
	html_begin(&b, "sconce");
	page_health(c, &b);
	if (c->api->tokens)
		buf_puts(&b, "<h2>Models</h2>\n<p>Shown to those who have a key: "
			     "<code>sconce models list</code></p>\n");
	else
		page_models(c, &b);
	page_how(c, &b);
	html_end(&b);
	html_answer(c, &b);
	buf_finish(&b);
}
