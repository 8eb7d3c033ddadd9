/* SPDX-License-Identifier: Apache-2.0 */
#include "api/call.h"
#include "api/handlers.h"

/* TorchServe's rule: every model's default version has the workers it should have, where a worker
 * that is being restarted still counts until it is given up. */
static bool health_good(const struct fleet *f)
{
	map_for_each (e, &f->store.models) {
		struct model *m = e->value;

		if (m->default_version && !version_healthy(m->default_version))
			return false;
	}
	return true;
}

void health_ping(struct call *c)
{
	static const char good[] = "{\n  \"status\": \"Healthy\"\n}\n";
	static const char bad[] = "{\n  \"status\": \"Unhealthy\"\n}\n";

	if (health_good(c->api->fleet))
		call_answer(c, 200, NULL, SLICE(good));
	else
		call_answer(c, 500, NULL, SLICE(bad));
}
