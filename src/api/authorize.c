/* SPDX-License-Identifier: Apache-2.0 */
#include "api/authorize.h"

#include "api/args.h"
#include "api/handlers.h"
#include "api/route.h"
#include "auth/tokens.h"
#include "base/clock.h"

bool authorize_call(struct call *c)
{
	unsigned roles = c->route->roles;
	enum token_kind kind = roles & API_INFERENCE ? TOKEN_INFERENCE : TOKEN_MANAGEMENT;
	struct slice header;

	/* On a shared listener each route asks for the key of its own kind. */
	if (!c->api->tokens || (roles & API_METRICS) || c->route->run == authorize_renew ||
	    c->route->run == page_show)
		return true;
	header = http_head_get(&c->x->head, "authorization");
	if (tokens_check(c->api->tokens, kind, header, clock_wall_ns()))
		return true;
	call_error(c, 400, "InvalidKeyException",
		   "Token Authorization failed. Token either incorrect, expired, or not provided "
		   "correctly");
	return false;
}

static bool authorize_kind(struct slice type, enum token_kind *ret)
{
	*ret = slice_eq(type, SLICE("management")) ? TOKEN_MANAGEMENT : TOKEN_INFERENCE;
	return *ret == TOKEN_MANAGEMENT || slice_eq(type, SLICE("inference"));
}

static void authorize_renewed(void *arg, int r)
{
	struct call *c = arg;

	if (r < 0)
		call_error(c, 500, "InternalServerException",
			   "The new key could not be written to the key file.");
	else
		call_answer(c, 200, "application/json", SLICE("\n"));
	c->waiting = NULL;
	call_maybe_free(c);
}

void authorize_renew(struct call *c)
{
	struct slice header = http_head_get(&c->x->head, "authorization");
	enum token_kind kind;
	struct args args;
	bool known;

	if (!c->api->tokens) {
		call_not_found(c);
		return;
	}
	if (args_read(&args, c, false) < 0)
		return;
	known = authorize_kind(args_text(&args, "type"), &kind);
	args_finish(&args);
	if (!known || !tokens_check(c->api->tokens, TOKEN_API, header, clock_wall_ns())) {
		call_error(c, 400, "InvalidKeyException",
			   "Token Authentication failed. Token either incorrect, expired, or not "
			   "provided correctly");
		return;
	}
	c->waiting = c;
	tokens_renew(c->api->tokens, kind, clock_wall_ns(), authorize_renewed, c);
}
