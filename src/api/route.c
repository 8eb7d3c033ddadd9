/* SPDX-License-Identifier: Apache-2.0 */
#include "api/route.h"

#include <string.h>

#include "api/authorize.h"
#include "api/handlers.h"

static const struct route route_not_allowed = { .run = call_not_allowed, .at_once = true };

/* In the order TorchServe looks at them (inference before management on a shared listener). */
static const struct route routes[] = {
	{ API_ALL, "OPTIONS", "", ROUTE_NO_BODY, NULL, openapi_listener, .at_once = true },
	{ API_ALL, NULL, "api-description", ROUTE_NO_BODY, NULL, openapi_listener,
	  .at_once = true },
	{ API_INFERENCE, NULL, "ping/**", ROUTE_NO_BODY, NULL, health_ping, .at_once = true },
	{ API_ALL, NULL, "livez", ROUTE_NO_BODY, NULL, health_live, .at_once = true },
	{ API_ALL, NULL, "readyz", ROUTE_NO_BODY, NULL, health_ready, .at_once = true },
	{ API_INFERENCE, NULL, "predictions/{model}", ROUTE_BIG_BODY, inference_check,
	  inference_predict, &dialect_predictions, REQUEST_PREDICT },
	{ API_INFERENCE, NULL, "predictions/{model}/{version}/**", ROUTE_BIG_BODY, inference_check,
	  inference_predict, &dialect_predictions, REQUEST_PREDICT },
	{ API_INFERENCE, NULL, "explanations/{model}", ROUTE_BIG_BODY, inference_check,
	  inference_predict, &dialect_predictions, REQUEST_EXPLAIN },
	{ API_INFERENCE, NULL, "explanations/{model}/{version}/**", ROUTE_BIG_BODY, inference_check,
	  inference_predict, &dialect_predictions, REQUEST_EXPLAIN },
	{ API_INFERENCE, NULL, "invocations", ROUTE_BIG_BODY, NULL, inference_invocations,
	  &dialect_fields, REQUEST_PREDICT },
	{ API_INFERENCE, NULL, "models/{model}/invoke", ROUTE_BIG_BODY, inference_check,
	  inference_predict, &dialect_fields, REQUEST_PREDICT },
	{ API_INFERENCE, NULL, "v1/models/{model}:predict", ROUTE_BIG_BODY, kserve_infer_check,
	  inference_predict, &dialect_kserve, REQUEST_PREDICT },
	{ API_INFERENCE, NULL, "v1/models/{model}:explain", ROUTE_BIG_BODY, kserve_infer_check,
	  inference_predict, &dialect_kserve, REQUEST_EXPLAIN },
	{ API_INFERENCE, NULL, "v2/models/{model}/infer", ROUTE_BIG_BODY, kserve_infer_check,
	  inference_predict, &dialect_kserve, REQUEST_PREDICT },
	{ API_INFERENCE, NULL, "v2/models/{model}/explain", ROUTE_BIG_BODY, kserve_infer_check,
	  inference_predict, &dialect_kserve, REQUEST_EXPLAIN },
	{ API_INFERENCE, NULL, "v2/models/{model}/versions/{version}/infer", ROUTE_BIG_BODY,
	  kserve_v2_infer_check, inference_predict, &dialect_kserve, REQUEST_PREDICT },
	{ API_INFERENCE, NULL, "v2/models/{model}/versions/{version}/explain", ROUTE_BIG_BODY,
	  kserve_v2_infer_check, inference_predict, &dialect_kserve, REQUEST_EXPLAIN },
	{ API_INFERENCE, NULL, "v2", ROUTE_NO_BODY, kserve_v2_check, kserve_server,
	  .at_once = true },
	{ API_INFERENCE, NULL, "v2/health/live", ROUTE_NO_BODY, kserve_v2_check, kserve_live,
	  .at_once = true },
	{ API_INFERENCE, NULL, "v2/health/ready", ROUTE_NO_BODY, kserve_v2_check, kserve_ready,
	  .at_once = true },
	{ API_INFERENCE, NULL, "v2/models/{model}", ROUTE_NO_BODY, kserve_v2_check, kserve_model },
	{ API_INFERENCE, NULL, "v2/models/{model}/versions/{version}", ROUTE_NO_BODY,
	  kserve_v2_check, kserve_model },
	{ API_INFERENCE, NULL, "v2/models/{model}/ready", ROUTE_NO_BODY, kserve_v2_check,
	  kserve_model_ready },
	{ API_INFERENCE, NULL, "v2/models/{model}/versions/{version}/ready", ROUTE_NO_BODY,
	  kserve_v2_check, kserve_model_ready },
	{ API_MANAGEMENT, "GET", "v1/models", ROUTE_NO_BODY, NULL, kserve_v1_list,
	  .at_once = true },
	{ API_MANAGEMENT, "GET", "v1/models/{model}", ROUTE_NO_BODY, NULL, kserve_v1_model },
	{ API_INFERENCE, NULL, "v1/models", ROUTE_NO_BODY, kserve_check, kserve_v1_list,
	  .at_once = true },
	{ API_INFERENCE, NULL, "v1/models/{model}", ROUTE_NO_BODY, kserve_check, kserve_v1_model },
	{ API_MANAGEMENT, NULL, "token", ROUTE_NO_BODY, NULL, authorize_renew, .open = true,
	  .at_once = true },
	{ API_MANAGEMENT, "GET", "models", ROUTE_NO_BODY, NULL, management_list, .at_once = true },
	{ API_MANAGEMENT, "POST", "models", ROUTE_SMALL_BODY, NULL, management_register },
	{ API_MANAGEMENT, NULL, "models", ROUTE_NO_BODY, NULL, call_not_allowed, .at_once = true },
	{ API_MANAGEMENT, "GET", "models/{model}", ROUTE_NO_BODY, NULL, management_describe,
	  .at_once = true },
	{ API_MANAGEMENT, "PUT", "models/{model}", ROUTE_NO_BODY, NULL, management_scale },
	{ API_MANAGEMENT, "DELETE", "models/{model}", ROUTE_NO_BODY, NULL, management_unregister },
	{ API_MANAGEMENT, "OPTIONS", "models/{model}", ROUTE_NO_BODY, NULL,
	  openapi_model_management },
	{ API_MANAGEMENT, "OPTIONS", "models/{model}/{version}", ROUTE_NO_BODY, NULL,
	  openapi_model_management },
	{ API_MANAGEMENT, NULL, "models/{model}", ROUTE_NO_BODY, NULL, call_not_allowed,
	  .at_once = true },
	{ API_MANAGEMENT, "GET", "models/{model}/{version}", ROUTE_NO_BODY, NULL,
	  management_describe, .at_once = true },
	{ API_MANAGEMENT, "PUT", "models/{model}/{version}", ROUTE_NO_BODY, NULL,
	  management_scale },
	{ API_MANAGEMENT, "DELETE", "models/{model}/{version}", ROUTE_NO_BODY, NULL,
	  management_unregister },
	{ API_MANAGEMENT, NULL, "models/{model}/{version}", ROUTE_NO_BODY, NULL, call_not_allowed,
	  .at_once = true },
	{ API_MANAGEMENT, "PUT", "models/{model}/{version}/set-default", ROUTE_NO_BODY, NULL,
	  management_set_default },
	{ API_MANAGEMENT, NULL, "models/{model}/{version}/set-default", ROUTE_NO_BODY, NULL,
	  call_not_allowed, .at_once = true },
	{ API_INFERENCE, NULL, "{model}/predict", ROUTE_BIG_BODY, inference_check,
	  inference_predict, &dialect_fields, REQUEST_PREDICT },
	{ API_INFERENCE, NULL, "{model}/{version}/predict", ROUTE_BIG_BODY, inference_check,
	  inference_predict, &dialect_fields, REQUEST_PREDICT },
	{ API_METRICS, "GET", "metrics", ROUTE_NO_BODY, NULL, scrape_metrics, .at_once = true },
	{ API_METRICS, "HEAD", "metrics", ROUTE_NO_BODY, NULL, scrape_metrics, .at_once = true },
	{ API_METRICS, NULL, "metrics", ROUTE_NO_BODY, NULL, call_not_allowed, .at_once = true },
	{ API_INFERENCE, "GET", "", ROUTE_NO_BODY, NULL, page_show, .open = true, .at_once = true },
	{ API_CONSOLE, "GET", "", ROUTE_NO_BODY, NULL, console_root, .open = true,
	  .at_once = true },
	{ API_CONSOLE, "GET", "console", ROUTE_NO_BODY, NULL, console_page, .open = true,
	  .at_once = true },
	{ API_CONSOLE, "HEAD", "console", ROUTE_NO_BODY, NULL, console_page, .open = true,
	  .at_once = true },
	{ API_CONSOLE, "GET", "console/web/**", ROUTE_NO_BODY, NULL, console_file, .open = true,
	  .at_once = true },
	{ API_CONSOLE, "HEAD", "console/web/**", ROUTE_NO_BODY, NULL, console_file, .open = true,
	  .at_once = true },
	{ API_CONSOLE, "GET", "console/api/figures", ROUTE_NO_BODY, console_check, console_figures,
	  .at_once = true },
	{ API_CONSOLE, "GET", "console/api/logs", ROUTE_NO_BODY, console_check, console_logs,
	  .at_once = true },
	{ API_CONSOLE, "GET", "console/api/report/{model}/{version}", ROUTE_NO_BODY, console_check,
	  console_report, .at_once = true },
	{ API_CONSOLE, "POST", "console/api/try/{model}", ROUTE_BIG_BODY, console_try_check,
	  inference_predict, &dialect_predictions, REQUEST_PREDICT },
	{ API_CONSOLE, "POST", "console/api/try/{model}/{version}", ROUTE_BIG_BODY,
	  console_try_check, inference_predict, &dialect_predictions, REQUEST_PREDICT },
	{ API_ALL, NULL, "", ROUTE_NO_BODY, NULL, call_not_allowed, .at_once = true },
};

/* What a word of a path names, and where in the call that is kept. */
static const struct {
	struct slice word;
	size_t at;
} route_names[] = {
	{ SLICE_CONST("{model}"), offsetof(struct call, model) },
	{ SLICE_CONST("{version}"), offsetof(struct call, version_name) },
};

static bool route_name_matches(struct slice *kept, struct slice ending, struct slice segment)
{
	if (segment.n < ending.n ||
	    !slice_eq(ending, slice_make(segment.p + segment.n - ending.n, ending.n)))
		return false;
	*kept = slice_make(segment.p, segment.n - ending.n);
	return true;
}

static bool route_word_matches(struct call *c, struct slice word, struct slice segment)
{
	if (word.p[0] != '{')
		return slice_eq(word, segment);
	for (size_t i = 0; i < ARRAY_LEN(route_names); i++) {
		struct slice name = route_names[i].word;

		if (slice_starts(word, name))
			return route_name_matches(
				(struct slice *)(void *)((char *)c + route_names[i].at),
				slice_make(word.p + name.n, word.n - name.n), segment);
	}
	return slice_eq(word, segment);
}

/* Most rows of the table begin with another letter than the path. */
static bool route_may_match(const struct call *c, const char *path)
{
	const struct slice *first = &c->segments[0];

	if (!*path || *path == '{' || !c->n_segments)
		return !*path == !c->n_segments;
	return first->n && first->p[0] == *path;
}

static bool route_path_matches(struct call *c, const char *path)
{
	struct slice rest;
	unsigned i = 0;

	c->model = c->version_name = SLICE_NULL;
	if (!route_may_match(c, path))
		return false;
	rest = slice_str(path);
	if (!rest.n)
		return c->n_segments == 0;
	while (rest.p) {
		struct slice word = slice_cut(&rest, '/');

		c->rest = i;
		if (slice_eq(word, SLICE("**")))
			return true;
		if (i == c->n_segments || !route_word_matches(c, word, c->segments[i]))
			return false;
		i++;
	}
	c->rest = i;
	return i == c->n_segments;
}

const struct route *route_find(struct call *c)
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
