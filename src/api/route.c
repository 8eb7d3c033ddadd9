/* SPDX-License-Identifier: Apache-2.0 */
#include "api/route.h"

#include <string.h>

#include "api/authorize.h"
#include "api/handlers.h"

static const struct route route_not_allowed = { .run = call_not_allowed };

/* In the order TorchServe looks at them (inference before management on a shared listener). */
static const struct route routes[] = {
	{ API_ALL, "OPTIONS", "", ROUTE_NO_BODY, NULL, openapi_listener },
	{ API_ALL, NULL, "api-description", ROUTE_NO_BODY, NULL, openapi_listener },
	{ API_INFERENCE, NULL, "ping/**", ROUTE_NO_BODY, NULL, health_ping },
	{ API_ALL, NULL, "livez", ROUTE_NO_BODY, NULL, health_live },
	{ API_ALL, NULL, "readyz", ROUTE_NO_BODY, NULL, health_ready },
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
	  inference_predict },
	{ API_INFERENCE, NULL, "v1/models/*:predict", ROUTE_BIG_BODY, inference_check,
	  inference_predict },
	{ API_INFERENCE, NULL, "v1/models/*:explain", ROUTE_BIG_BODY, inference_check,
	  inference_predict },
	{ API_INFERENCE, NULL, "v2/models/*/infer", ROUTE_BIG_BODY, inference_check,
	  inference_predict },
	{ API_INFERENCE, NULL, "v2/models/*/explain", ROUTE_BIG_BODY, inference_check,
	  inference_predict },
	{ API_INFERENCE, NULL, "v2/models/*/versions/*/infer", ROUTE_BIG_BODY,
	  kserve_v2_infer_check, inference_predict },
	{ API_INFERENCE, NULL, "v2/models/*/versions/*/explain", ROUTE_BIG_BODY,
	  kserve_v2_infer_check, inference_predict },
	{ API_INFERENCE, NULL, "v2", ROUTE_NO_BODY, kserve_v2_check, kserve_server },
	{ API_INFERENCE, NULL, "v2/health/live", ROUTE_NO_BODY, kserve_v2_check, kserve_live },
	{ API_INFERENCE, NULL, "v2/health/ready", ROUTE_NO_BODY, kserve_v2_check, kserve_ready },
	{ API_INFERENCE, NULL, "v2/models/*", ROUTE_NO_BODY, kserve_v2_check, kserve_model },
	{ API_INFERENCE, NULL, "v2/models/*/versions/*", ROUTE_NO_BODY, kserve_v2_check,
	  kserve_model },
	{ API_INFERENCE, NULL, "v2/models/*/ready", ROUTE_NO_BODY, kserve_v2_check,
	  kserve_model_ready },
	{ API_INFERENCE, NULL, "v2/models/*/versions/*/ready", ROUTE_NO_BODY, kserve_v2_check,
	  kserve_model_ready },
	{ API_MANAGEMENT, "GET", "v1/models", ROUTE_NO_BODY, NULL, kserve_v1_list },
	{ API_MANAGEMENT, "GET", "v1/models/*", ROUTE_NO_BODY, NULL, kserve_v1_model },
	{ API_MANAGEMENT, NULL, "token", ROUTE_NO_BODY, NULL, authorize_renew },
	{ API_MANAGEMENT, "GET", "models", ROUTE_NO_BODY, NULL, management_list },
	{ API_MANAGEMENT, "POST", "models", ROUTE_SMALL_BODY, NULL, management_register },
	{ API_MANAGEMENT, NULL, "models", ROUTE_NO_BODY, NULL, call_not_allowed },
	{ API_MANAGEMENT, "GET", "models/*", ROUTE_NO_BODY, NULL, management_describe },
	{ API_MANAGEMENT, "PUT", "models/*", ROUTE_NO_BODY, NULL, management_scale },
	{ API_MANAGEMENT, "DELETE", "models/*", ROUTE_NO_BODY, NULL, management_unregister },
	{ API_MANAGEMENT, "OPTIONS", "models/*", ROUTE_NO_BODY, NULL, openapi_model_management },
	{ API_MANAGEMENT, "OPTIONS", "models/*/*", ROUTE_NO_BODY, NULL, openapi_model_management },
	{ API_MANAGEMENT, NULL, "models/*", ROUTE_NO_BODY, NULL, call_not_allowed },
	{ API_MANAGEMENT, "GET", "models/*/*", ROUTE_NO_BODY, NULL, management_describe },
	{ API_MANAGEMENT, "PUT", "models/*/*", ROUTE_NO_BODY, NULL, management_scale },
	{ API_MANAGEMENT, "DELETE", "models/*/*", ROUTE_NO_BODY, NULL, management_unregister },
	{ API_MANAGEMENT, NULL, "models/*/*", ROUTE_NO_BODY, NULL, call_not_allowed },
	{ API_MANAGEMENT, "PUT", "models/*/*/set-default", ROUTE_NO_BODY, NULL,
	  management_set_default },
	{ API_MANAGEMENT, NULL, "models/*/*/set-default", ROUTE_NO_BODY, NULL, call_not_allowed },
	{ API_INFERENCE, NULL, "*/predict", ROUTE_BIG_BODY, inference_check, inference_predict },
	{ API_INFERENCE, NULL, "*/*/predict", ROUTE_BIG_BODY, inference_check, inference_predict },
	{ API_METRICS, "GET", "metrics", ROUTE_NO_BODY, NULL, scrape_metrics },
	{ API_METRICS, "HEAD", "metrics", ROUTE_NO_BODY, NULL, scrape_metrics },
	{ API_METRICS, NULL, "metrics", ROUTE_NO_BODY, NULL, call_not_allowed },
	{ API_ALL, NULL, "", ROUTE_NO_BODY, NULL, call_not_allowed },
};

static bool route_word_matches(struct slice word, struct slice segment)
{
	if (word.p[0] != '*')
		return slice_eq(word, segment);
	word = slice_make(word.p + 1, word.n - 1);
	return segment.n >= word.n &&
	       slice_eq(word, slice_make(segment.p + segment.n - word.n, word.n));
}

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
		if (!route_word_matches(word, c->segments[i]))
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
