/* SPDX-License-Identifier: Apache-2.0 */
#include "api/authorize.h"

#include <string.h>

#include "api/args.h"
#include "api/handlers.h"
#include "api/route.h"
#include "auth/tokens.h"
#include "base/clock.h"

/* TorchServe's sentence. */
#define AUTHORIZE_FAILED                                                                           \
	"Token %s failed. Token either incorrect, expired, or not provided correctly"

/* And what to do. The folder of the file is not a stranger's business; the log has it. */
static void authorize_refuse(struct call *c, const char *what, enum token_verdict verdict,
			     enum token_kind kind)
{
	static const char *const faults[] = {
		[TOKEN_MISSING] = "There is no Authorization header",
		[TOKEN_MALFORMED] = "The Authorization header is not 'Bearer KEY'",
		[TOKEN_OTHER] = "That is the key for something else",
		[TOKEN_WRONG] = "That is no key of this server",
	};
	const char *file = tokens_file_name(c->api->tokens), *name = token_kind_name(kind);

	if (verdict == TOKEN_EXPIRED)
		call_error(c, 400, "InvalidKeyException",
			   AUTHORIZE_FAILED ". The %s key has expired: /token?type=%s of the "
					    "management address, called with the API key, writes "
					    "a new one into the server's %s",
			   what, name, name, file);
	else
		call_error(c, 400, "InvalidKeyException",
			   AUTHORIZE_FAILED ". %s: send 'Authorization: Bearer KEY' with the %s "
					    "key of the server's %s",
			   what, faults[verdict], name, file);
}

static bool authorize_as(struct call *c, enum token_kind kind)
{
	struct slice header = http_head_get(&c->x->head, "authorization");
	enum token_verdict verdict;

	if (!c->api->tokens)
		return true;
	verdict = tokens_judge(c->api->tokens, kind, header, clock_wall_ns());
	if (verdict == TOKEN_GOOD)
		return true;
	authorize_refuse(c, "Authorization", verdict, kind);
	return false;
}

bool authorize_call(struct call *c)
{
	unsigned roles = c->route->roles;
	/* Who runs a model needs the key for that, by whatever way. */
	bool runs = roles & API_INFERENCE || c->route->dialect;

	/* On a shared listener each route asks for the key of its own kind. */
	return (roles & API_METRICS) || c->route->open ||
	       authorize_as(c, runs ? TOKEN_INFERENCE : TOKEN_MANAGEMENT);
}

bool authorize_management(struct call *c)
{
	return authorize_as(c, TOKEN_MANAGEMENT);
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
	enum token_verdict verdict;
	enum token_kind kind;
	struct args args;
	bool known;

	if (!c->api->tokens) {
		call_not_found(c);
		return;
	}
	if (tokens_given(c->api->tokens)) {
		call_error(
			c, 400, "InvalidKeyException",
			"The keys of this server come from a file that others share (keys_from): "
			"change them there, and restart.");
		return;
	}
	if (args_read(&args, c, false) < 0)
		return;
	known = authorize_kind(args_text(&args, "type"), &kind);
	args_finish(&args);
	verdict = tokens_judge(c->api->tokens, TOKEN_API, header, clock_wall_ns());
	if (verdict != TOKEN_GOOD) {
		authorize_refuse(c, "Authentication", verdict, TOKEN_API);
		return;
	}
	if (!known) {
		call_error(c, 400, "InvalidKeyException",
			   AUTHORIZE_FAILED ". Say which key: /token?type=management or "
					    "/token?type=inference",
			   "Authentication");
		return;
	}
	c->waiting = c;
	tokens_renew(c->api->tokens, kind, clock_wall_ns(), authorize_renewed, c);
}
