/* SPDX-License-Identifier: Apache-2.0 */
#include "api/call.h"
#include "api/handlers.h"

/*
 * KServe's routes around inference: who serves, is it alive, is a model ready. What runs a model is
 * in inference.c; what a body means is the service envelope's matter, in the worker. Version 2 is
 * there only with ts_open_inference_protocol, as in TorchServe; version 1 of those that look, where
 * predictions are, only with kserve, as its wrapper of TorchServe has it.
 */

#include "wire/json.h"

#define KSERVE_MAX ((size_t)16 << 20)

bool kserve_v2_check(struct call *c)
{
	if (c->api->settings->ts_open_inference_protocol)
		return true;
	call_not_found(c);
	return false;
}

bool kserve_check(struct call *c)
{
	if (c->api->settings->kserve)
		return true;
	call_not_found(c);
	return false;
}

bool kserve_infer_check(struct call *c)
{
	struct slice rest = c->model;

	/* As TorchServe: what follows a colon is no part of the name. */
	c->model = slice_cut(&rest, ':');
	return inference_check(c);
}

bool kserve_v2_infer_check(struct call *c)
{
	return kserve_v2_check(c) && kserve_infer_check(c);
}

/* Takes the document. */
static void kserve_send(struct call *c, int status, yyjson_mut_doc *doc)
{
	struct buf out = BUF_INIT(KSERVE_MAX);

	json_write_pretty(&out, doc);
	call_answer(c, status, NULL, buf_slice(&out));
	buf_finish(&out);
	yyjson_mut_doc_free(doc);
}

static yyjson_mut_val *kserve_object(yyjson_mut_doc **ret)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *root = yyjson_mut_obj(doc);

	yyjson_mut_doc_set_root(doc, root);
	*ret = doc;
	return root;
}

/* ---- the server ---- */

void kserve_server(struct call *c)
{
	/* TorchServe misspells the key, and its clients may have come to rely on that. */
	static const char *const keys[] = { "extenstion", "extensions" };
	yyjson_mut_doc *doc;
	yyjson_mut_val *root = kserve_object(&doc);

	yyjson_mut_obj_add_str(doc, root, "name", "Torchserve");
	yyjson_mut_obj_add_str(doc, root, "version", API_TORCHSERVE_VERSION);
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		yyjson_mut_val *list = yyjson_mut_obj_add_arr(doc, root, keys[i]);

		yyjson_mut_arr_add_str(doc, list, "kserve");
		yyjson_mut_arr_add_str(doc, list, "kubeflow");
	}
	kserve_send(c, 200, doc);
}

static void kserve_flag(struct call *c, const char *key, bool value)
{
	yyjson_mut_doc *doc;
	yyjson_mut_val *root = kserve_object(&doc);

	yyjson_mut_obj_add_bool(doc, root, key, value);
	kserve_send(c, value ? 200 : 503, doc);
}

void kserve_live(struct call *c)
{
	kserve_flag(c, "live", true);
}

void kserve_ready(struct call *c)
{
	kserve_flag(c, "ready", ready_check(&c->api->ready, NULL, NULL));
}

/* ---- a model ---- */

static void kserve_send_ready(struct call *c, const struct version *v, int unready)
{
	yyjson_mut_doc *doc;
	yyjson_mut_val *root = kserve_object(&doc);
	bool ready = version_ready_workers(v) > 0;

	yyjson_mut_obj_add_str(doc, root, "name", v->model_name);
	yyjson_mut_obj_add_bool(doc, root, "ready", ready);
	kserve_send(c, ready ? 200 : unready, doc);
}

static struct version *kserve_find(struct call *c)
{
	return call_find_version(c, c->model, c->version_name);
}

void kserve_model_ready(struct call *c)
{
	struct version *v = kserve_find(c);

	if (v)
		kserve_send_ready(c, v, 503);
}

/* Handlers do not tell what tensors they take. */
void kserve_model(struct call *c)
{
	struct version *v = kserve_find(c);
	yyjson_mut_doc *doc;
	yyjson_mut_val *root, *versions;

	if (!v)
		return;
	root = kserve_object(&doc);
	yyjson_mut_obj_add_str(doc, root, "name", v->model_name);
	versions = yyjson_mut_obj_add_arr(doc, root, "versions");
	if (c->version_name.p) {
		yyjson_mut_arr_add_str(doc, versions, v->name);
	} else {
		list_for_each (n, &v->model->versions)
			yyjson_mut_arr_add_str(doc, versions,
					       container_of(n, struct version, link)->name);
	}
	yyjson_mut_obj_add_str(doc, root, "platform", "");
	yyjson_mut_obj_add_arr(doc, root, "inputs");
	yyjson_mut_obj_add_arr(doc, root, "outputs");
	kserve_send(c, 200, doc);
}

/* ---- version 1: GET /v1/models[/{m}] ---- */

void kserve_v1_model(struct call *c)
{
	struct slice rest = c->model, model = slice_cut(&rest, ':');
	struct version *v = call_find_version(c, model, SLICE_NULL);

	if (v)
		kserve_send_ready(c, v, 200);
}

void kserve_v1_list(struct call *c)
{
	yyjson_mut_doc *doc;
	yyjson_mut_val *root = kserve_object(&doc), *list;
	size_t n;
	_cleanup_(freep) struct model **all = store_sorted(&c->api->fleet->store, &n);

	list = yyjson_mut_obj_add_arr(doc, root, "models");
	for (size_t i = 0; i < n; i++)
		yyjson_mut_arr_add_str(doc, list, all[i]->name);
	kserve_send(c, 200, doc);
}
