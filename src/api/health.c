/* SPDX-License-Identifier: Apache-2.0 */
#include "api/call.h"
#include "api/handlers.h"

/*
 * Three questions. /ping is TorchServe's: is anything given up for good? (It says Healthy while
 * workers load, but not before the models of the start are known, when TorchServe does not answer.)
 * /livez: does the server answer? /readyz: do the models? The last two are for orchestrators, which
 * have no token, so none is asked for; they tell names of models and why one is not there.
 */

#include "wire/json.h"

#define HEALTH_MAX ((size_t)16 << 20)

/* Every model's default version has the workers it should have, where a worker that is being
 * restarted still counts until it is given up. */
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
	if (c->api->starting)
		call_status(c, 503, "Starting");
	else if (health_good(c->api->fleet))
		call_status(c, 200, "Healthy");
	else
		call_status(c, 500, "Unhealthy");
}

void health_live(struct call *c)
{
	call_status(c, 200, "Live");
}

struct unready {
	yyjson_mut_doc *doc;
	yyjson_mut_val *models;
};

static void health_unready(void *arg, const char *model, const char *version, const char *why)
{
	struct unready *u = arg;
	yyjson_mut_val *o = yyjson_mut_arr_add_obj(u->doc, u->models);

	yyjson_mut_obj_add_strcpy(u->doc, o, "model", model);
	if (version)
		yyjson_mut_obj_add_strcpy(u->doc, o, "version", version);
	yyjson_mut_obj_add_strcpy(u->doc, o, "reason", why);
}

void health_ready(struct call *c)
{
	struct unready u = { .doc = yyjson_mut_doc_new(NULL) };
	yyjson_mut_val *root = yyjson_mut_obj(u.doc);
	struct buf out = BUF_INIT(HEALTH_MAX);
	bool ready;

	yyjson_mut_doc_set_root(u.doc, root);
	u.models = yyjson_mut_arr(u.doc);
	ready = ready_check(&c->api->ready, &u, health_unready);
	yyjson_mut_obj_add_str(u.doc, root, "status", ready ? "Ready" : "Not ready");
	if (!ready)
		yyjson_mut_obj_add_val(u.doc, root, "models", u.models);
	json_write_pretty(&out, u.doc);
	call_answer(c, ready ? 200 : 503, NULL, buf_slice(&out));
	buf_finish(&out);
	yyjson_mut_doc_free(u.doc);
}
