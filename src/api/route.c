/* SPDX-License-Identifier: Apache-2.0 */
#include "api/route.h"

#include <string.h>

#include "api/authorize.h"
#include "api/handlers.h"

static const struct route route_not_allowed = { .run = call_not_allowed };

/* In the order TorchServe looks at them (inference before management on a shared listener). */
static const struct route routes[] = {
	{ API_INFERENCE, NULL, "ping", ROUTE_NO_BODY, NULL, health_ping },
	{ API_INFERENCE, NULL, "predictions/*", ROUTE_BIG_BODY, inference_check,
	  inference_predict },
	{ API_INFERENCE, NULL, "predictions/*/*/**", ROUTE_BIG_BODY, inference_check,
	  inference_predict },
	{ API_INFERENCE, NULL, "explanations/*", ROUTE_BIG_BODY, inference_check,
	  inference_predict },
	{ API_INFERENCE, NULL, "explanations/*/*/**", ROUTE_BIG_BODY, inference_check,
	  inference_predict },
	{ API_INFERENCE, NULL, "invocations", ROUTE_BIG_BODY, NULL, inference_invocations },
	{ API_INFERENCE, NULL, "models/*/invoke", ROUTE_BIG_BODY, inference_check,
	  inference_invoke },
	{ API_MANAGEMENT, NULL, "token", ROUTE_NO_BODY, NULL, authorize_renew },
	{ API_MANAGEMENT, "GET", "models", ROUTE_NO_BODY, NULL, management_list },
	{ API_MANAGEMENT, "POST", "models", ROUTE_SMALL_BODY, NULL, management_register },
	{ API_MANAGEMENT, NULL, "models", ROUTE_NO_BODY, NULL, call_not_allowed },
	{ API_MANAGEMENT, "GET", "models/*", ROUTE_NO_BODY, NULL, management_describe },
	{ API_MANAGEMENT, "PUT", "models/*", ROUTE_NO_BODY, NULL, management_scale },
	{ API_MANAGEMENT, "DELETE", "models/*", ROUTE_NO_BODY, NULL, management_unregister },
	{ API_MANAGEMENT, NULL, "models/*", ROUTE_NO_BODY, NULL, call_not_allowed },
	{ API_MANAGEMENT, "GET", "models/*/*", ROUTE_NO_BODY, NULL, management_describe },
	{ API_MANAGEMENT, "PUT", "models/*/*", ROUTE_NO_BODY, NULL, management_scale },
	{ API_MANAGEMENT, "DELETE", "models/*/*", ROUTE_NO_BODY, NULL, management_unregister },
	{ API_MANAGEMENT, NULL, "models/*/*", ROUTE_NO_BODY, NULL, call_not_allowed },
	{ API_MANAGEMENT, "PUT", "models/*/*/set-default", ROUTE_NO_BODY, NULL,
	  management_set_default },
	{ API_MANAGEMENT, NULL, "models/*/*/set-default", ROUTE_NO_BODY, NULL, call_not_allowed },
	{ API_METRICS, "GET", "metrics", ROUTE_NO_BODY, NULL, scrape_metrics },
	{ API_METRICS, "HEAD", "metrics", ROUTE_NO_BODY, NULL, scrape_metrics },
	{ API_METRICS, NULL, "metrics", ROUTE_NO_BODY, NULL, call_not_allowed },
	{ API_INFERENCE | API_MANAGEMENT | API_METRICS, NULL, "", ROUTE_NO_BODY, NULL,
	  call_not_allowed },
};

static bool route_path_matches(const struct call *c, const char *path)
{
	struct slice rest = slice_str(path);
	unsigned i = 0;

	if (!rest.n)
		return c->n_segments == 0;
	while (rest.p) {
		struct slice word = slice_cut(&rest, '/');

		if (slice_eq(word, SLICE("**")))
			return true;
		if (i == c->n_segments)
			return false;
		if (!slice_eq(word, SLICE("*")) && !slice_eq(word, c->segments[i]))
			return false;
		i++;
	}
	return i == c->n_segments;
}

const struct route *route_find(const struct call *c)
{
	bool path_known = false;

	for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
		const struct route *r = &routes[i];

		if (!(r->roles & c->door->roles) || !route_path_matches(c, r->path))
			continue;
		path_known = true;
		if (!r->method || slice_eq(c->x->head.method, slice_str(r->method)))
			return r;
	}
	return path_known ? &route_not_allowed : NULL;
}
