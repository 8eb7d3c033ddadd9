/* SPDX-License-Identifier: Apache-2.0 */
#include "onnx.h"

/* Where ONNX Runtime is: nothing of it is needed before a model is. */

#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <string.h>

struct candidates {
	struct onnx *engine;
	struct sconce_error *first; /* what stands in the way of the first that was tried */
};

static int find_take(void *arg, const char *path)
{
	struct candidates *c = arg;
	struct sconce_error e;

	if (ort_open(c->engine, path, &e) == 0)
		return 0;
	if (!*c->first->text)
		*c->first = e;
	return -1;
}

/* By its name, as the loader finds it; its path is then known to the loader only. */
static int find_system(struct onnx *o)
{
	static const char *const names[] = { "libonnxruntime.so.1", "libonnxruntime.so" };
	struct sconce_error ignored;
	struct link_map *map = NULL;
	int r = -1;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names) && r < 0; i++)
		r = ort_open(o, names[i], &ignored);
	if (!r && dlinfo(o->library, RTLD_DI_LINKMAP, &map) == 0 && map && *map->l_name)
		snprintf(o->path, sizeof(o->path), "%s", map->l_name);
	return r;
}

static int find_configured(struct onnx *o, const char *path, struct sconce_error *e)
{
	struct sconce_error why;

	if (ort_open(o, path, &why) == 0)
		return 0;
	return kit_fail(e, -1, "engine.library: %.1000s", why.text);
}

static int find_anywhere(struct onnx *o, struct sconce_error *e)
{
	const char *python = o->host->python;
	struct candidates c = { o, e };

	*e->text = '\0';
	if (package_find(o->host, "onnxruntime/capi/libonnxruntime.so.*", find_take, &c) == 0 ||
	    find_system(o) == 0)
		return 0;
	if (*e->text)
		return -1;
	return kit_fail(e, -1,
			"ONNX Runtime is not installed: %.500s -m pip install onnxruntime (or set "
			"engine.library)",
			python && *python ? python : "python3");
}

int onnx_find(struct onnx *o, struct sconce_error *e)
{
	const char *path = NULL;
	struct settings s;
	int r = settings_read(&s, SCONCE_HAS(o->host, config) ? o->host->config : NULL, e);

	if (!r)
		r = settings_text(&s, "library", &path, e);
	if (!r)
		r = path ? find_configured(o, path, e) : find_anywhere(o, e);
	settings_finish(&s);
	return r;
}
