/* SPDX-License-Identifier: Apache-2.0 */
#include "api/cors.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static char *cors_text(const char *s)
{
	struct slice value = slice_trim(slice_str(s));

	return value.n && http_value_valid(value) ? slice_dup(value) : NULL;
}

void cors_init(struct cors *c, const struct settings *s)
{
	*c = (struct cors){ .origin = cors_text(s->cors_allowed_origin),
			    .methods = cors_text(s->cors_allowed_methods),
			    .headers = cors_text(s->cors_allowed_headers) };
	if (c->origin && strchr(c->origin, ','))
		c->origins = TAKE(c->origin);
}

void cors_finish(struct cors *c)
{
	free(c->origin);
	free(c->origins);
	free(c->methods);
	free(c->headers);
}

bool cors_is_preflight(const struct cors *c, const struct http_head *h)
{
	return (c->origin || c->origins) && slice_eq(h->method, SLICE("OPTIONS")) &&
	       http_head_get(h, "origin").p && http_head_get(h, "access-control-request-method").p;
}

static struct slice cors_origin(const struct cors *c, const struct http_head *h)
{
	struct slice rest, asked;

	if (!c->origins)
		return slice_str(c->origin);
	rest = slice_str(c->origins);
	asked = http_head_get(h, "origin");
	while (rest.p) {
		struct slice one = slice_trim(slice_cut(&rest, ','));

		if (one.n && (slice_eq(one, asked) || slice_eq(one, SLICE("*"))))
			return one;
	}
	return SLICE_NULL;
}

void cors_each(const struct cors *c, const struct http_head *h, void *arg,
	       void (*put)(void *arg, struct slice name, struct slice value))
{
	struct slice origin = cors_origin(c, h);

	/* A cache must not give one origin's answer to another. */
	if (c->origins)
		put(arg, SLICE("Vary"), SLICE("Origin"));
	if (origin.n)
		put(arg, SLICE("Access-Control-Allow-Origin"), origin);
	if (c->methods)
		put(arg, SLICE("Access-Control-Allow-Methods"), slice_str(c->methods));
	if (c->headers)
		put(arg, SLICE("Access-Control-Allow-Headers"), slice_str(c->headers));
}
