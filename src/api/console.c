/* SPDX-License-Identifier: Apache-2.0 */
#include "api/console.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "api/authorize.h"
#include "api/handlers.h"
#include "api/html.h"
#include "wire/frame.h"

/* ---- who may ask ---- */

static bool console_is_address(struct slice host)
{
	char text[INET6_ADDRSTRLEN];
	struct in_addr a;

	if (slice_starts(host, SLICE("[")))
		return true; /* no name begins so */
	if (host.n >= sizeof(text))
		return false;
	memcpy(text, host.p, host.n);
	text[host.n] = '\0';
	return inet_pton(AF_INET, text, &a) == 1;
}

static bool console_is_local_name(struct slice host)
{
	static const struct slice local = SLICE_CONST("localhost"),
				  tail = SLICE_CONST(".localhost");

	return slice_ieq(host, local) ||
	       (host.n > tail.n && slice_ieq(slice_make(host.p + host.n - tail.n, tail.n), tail));
}

static bool console_is_listed(const struct settings *s, struct slice host)
{
	struct slice rest = slice_str(s->console_hosts);

	while (rest.n) {
		struct slice one = slice_trim(slice_cut(&rest, ','));

		if (one.n && (slice_eq(one, SLICE("*")) || slice_ieq(one, host)))
			return true;
	}
	return false;
}

/* A page of another site can give its own name our address, and is then of our origin to a browser
 * (DNS rebinding). It has no key; where none is asked for, only names that nobody else can have
 * count. */
static bool console_host_is_ours(struct call *c, struct slice *host)
{
	*host = http_head_get(&c->x->head, "host");
	if (c->api->tokens || !host->n)
		return true;
	if (host->p[0] != '[')
		*host = slice_cut(&(struct slice){ host->p, host->n }, ':');
	return console_is_address(*host) || console_is_local_name(*host) ||
	       console_is_listed(c->api->settings, *host);
}

/* What browsers say of the page that asks. Those that know Sec-Fetch-Site send it to https and to
 * this machine; Origin is with everything that changes something, or is asked across origins. */
static bool console_is_own_page(const struct call *c)
{
	struct slice site = http_head_get(&c->x->head, "sec-fetch-site"),
		     origin = http_head_get(&c->x->head, "origin"),
		     host = http_head_get(&c->x->head, "host");
	const char *at;

	if (site.p)
		return slice_eq(site, SLICE("same-origin")) || slice_eq(site, SLICE("none"));
	if (!origin.p)
		return true;
	at = memmem(origin.p, origin.n, "://", 3);
	return at && slice_ieq(slice_make(at + 3, (size_t)(origin.p + origin.n - at) - 3), host);
}

bool console_check(struct call *c)
{
	struct slice host;

	if (!console_host_is_ours(c, &host)) {
		call_error(c, 403, "ForbiddenException",
			   "The console is asked for by the name '%.*s', which is not known to be "
			   "this server's: use its address, or name it in console_hosts "
			   "(--console-hosts %.*s)",
			   SLICE_ARG(host), SLICE_ARG(host));
		return false;
	}
	if (console_is_own_page(c))
		return true;
	call_error(c, 403, "ForbiddenException",
		   "This is for the console's own page, and a page of another origin has asked. A "
		   "proxy before the server has to pass on the Host that browsers send");
	return false;
}

bool console_try_check(struct call *c)
{
	return console_check(c) && inference_check(c);
}

/* ---- answers ---- */

/* One line of a header block. */
static void console_put(char *block, size_t *n, const char *name, const char *value)
{
	*n += frame_header_put(block + *n, CONSOLE_HEADERS_MAX - *n, slice_str(name),
			       slice_str(value));
}

size_t console_put_headers(char *block)
{
	size_t n = 0;

	console_put(block, &n, "X-Content-Type-Options", "nosniff");
	console_put(block, &n, "Referrer-Policy", "no-referrer");
	console_put(block, &n, "Cross-Origin-Resource-Policy", "same-origin");
	return n;
}

void console_answer(struct call *c, struct slice json)
{
	char block[CONSOLE_HEADERS_MAX];
	size_t n = console_put_headers(block);

	call_answer_with(c, 200, "application/json", slice_make(block, n), json);
}

/* ---- the page and its files ---- */

/* Nothing but its own files, no inline code, no markup from strings, in nobody's frame. Pictures
 * that a model answers are shown from memory (blob:). */
static const char console_policy[] =
	"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
	"require-trusted-types-for 'script'; trusted-types 'none'";

static bool console_takes_gzip(const struct call *c)
{
	struct slice accept = http_head_get(&c->x->head, "accept-encoding");

	while (accept.n) {
		struct slice weight = slice_cut(&accept, ','),
			     coding = slice_trim(slice_cut(&weight, ';'));

		weight = slice_trim(weight);
		if (slice_ieq(coding, SLICE("gzip")))
			return !slice_eq(weight, SLICE("q=0")) &&
			       !slice_starts(weight, SLICE("q=0.0"));
	}
	return false;
}

/* Has the browser this one? Compressed or not is another tag, but the same content. */
static bool console_is_known(const struct call *c, const struct console_asset *a)
{
	struct slice have = http_head_get(&c->x->head, "if-none-match");

	while (have.n) {
		struct slice one = slice_trim(slice_cut(&have, ','));

		if (slice_eq(one, SLICE("*")))
			return true;
		if (slice_starts(one, SLICE("W/")))
			one = slice_make(one.p + 2, one.n - 2);
		if (slice_starts(one, SLICE("\"")) && one.n > strlen(a->tag) + 1 &&
		    slice_starts(slice_make(one.p + 1, one.n - 1), slice_str(a->tag)))
			return true;
	}
	return false;
}

static void console_nothing_to_free(void *arg)
{
	(void)arg;
}

static void console_send(struct call *c, const struct console_asset *a)
{
	bool packed = console_takes_gzip(c), known = console_is_known(c, a);
	char block[CONSOLE_HEADERS_MAX], tag[80];
	struct reply r = { .status = known ? 304 : 200,
			   .final = true,
			   .type = slice_str(a->type),
			   .release = console_nothing_to_free };
	size_t n = console_put_headers(block);

	snprintf(tag, sizeof(tag), "\"%s%s\"", a->tag, packed ? "-gz" : "");
	console_put(block, &n, "ETag", tag);
	console_put(block, &n, "Cache-Control", "no-cache");
	console_put(block, &n, "Vary", "Accept-Encoding, Origin");
	if (packed && !known)
		console_put(block, &n, "Content-Encoding", "gzip");
	if (a == console_assets) {
		console_put(block, &n, "Content-Security-Policy", console_policy);
		console_put(block, &n, "X-Frame-Options", "DENY");
		console_put(block, &n, "Cross-Origin-Opener-Policy", "same-origin");
	}
	r.headers = slice_make(block, n);
	if (!known)
		r.body = packed ? slice_make((const char *)a->packed, a->packed_n)
				: slice_make((const char *)a->plain, a->plain_n);
	call_send(c, &r);
}

/* What the page loads is named relative to it, so that it works behind any prefix of a proxy; with
 * a slash at its end that would be elsewhere. */
static void console_without_slash(struct call *c)
{
	char block[CONSOLE_HEADERS_MAX];
	size_t n = 0;

	console_put(block, &n, "Location", "../console");
	call_answer_with(c, 308, "text/plain", slice_make(block, n), SLICE("../console\n"));
}

/* Who opens the management address in a browser; programs get what TorchServe gives them. */
void console_root(struct call *c)
{
	char block[CONSOLE_HEADERS_MAX];
	size_t n = 0;

	if (!html_wanted(c)) {
		if (authorize_management(c))
			call_not_allowed(c);
		return;
	}
	console_put(block, &n, "Location", "console");
	call_answer_with(c, 303, "text/plain", slice_make(block, n), SLICE("console\n"));
}

void console_page(struct call *c)
{
	if (slice_ends(c->x->head.path, SLICE("/")))
		console_without_slash(c);
	else
		console_send(c, &console_assets[0]);
}

void console_file(struct call *c)
{
	struct slice name = c->rest + 1 == c->n_segments ? c->segments[c->rest] : SLICE_NULL;

	for (unsigned i = 1; i < console_assets_count; i++)
		if (slice_eq(name, slice_str(console_assets[i].name))) {
			console_send(c, &console_assets[i]);
			return;
		}
	call_not_found(c);
}
