/* SPDX-License-Identifier: Apache-2.0 */
#include "openvino.h"

/* Where OpenVINO is: nothing of it is needed before a model is. */

#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <string.h>

struct candidates {
	struct openvino *engine;
	struct sconce_error *first; /* what stands in the way of the first that was tried */
};

/* Lines of a C++ exception that say where in its source, not what. */
static bool is_place(const char *line, size_t n)
{
	static const char begin[] = "Exception from ", end[] = " failed at ";

	return n < 2 || strncmp(line, begin, strlen(begin)) == 0 ||
	       (*line == 'C' && memmem(line, n, end, strlen(end)));
}

int openvino_check(const struct openvino *o, int status, struct sconce_error *e)
{
	const char *text, *line;
	size_t at = 0, n;

	if (!status)
		return 0;
	text = o->api.get_last_err_msg();
	for (line = text ? text : ""; *line; line += n + (line[n] == '\n')) {
		n = strcspn(line, "\n");
		if (!is_place(line, n) && at + 1 < sizeof(e->text))
			at += (size_t)snprintf(e->text + at, sizeof(e->text) - at, "%s%.*s",
					       at ? " " : "", (int)n, line);
	}
	if (!at)
		kit_fail(e, -1, "OpenVINO says %d: %.900s", status, text && *text ? text : "?");
	else
		kit_fail(e, -1, "%s", strdupa(e->text));
	o->api.free(text);
	return strstr(e->text, "bad_alloc") ? kit_no_memory(e) : -1;
}

static int open_functions(struct openvino *o, const char *path, struct sconce_error *e)
{
#define OV_NAME(name, result, arguments) "ov_" #name,
	static const char *const names[] = { OV_FUNCTIONS(OV_NAME) };
	void **functions = (void **)&o->api;

	_Static_assert(sizeof(o->api) == sizeof(names), "a function has no name");
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		functions[i] = dlsym(o->library, names[i]);
		if (!functions[i])
			return kit_fail(e, -1,
					"%.500s is no library of OpenVINO 2024.6 or later: it has "
					"no %s",
					path, names[i]);
	}
	return 0;
}

static void read_version(struct openvino *o)
{
	struct ov_version v = { NULL, NULL };

	snprintf(o->version, sizeof(o->version), "?");
	if (o->api.get_openvino_version(&v) != 0)
		return;
	/* "2026.4.1-22982-e213a147257-releases/2026/4" */
	snprintf(o->version, sizeof(o->version), "%.*s", (int)strcspn(v.build, "-"), v.build);
	o->api.version_free(&v);
}

static int open_library(struct openvino *o, const char *path, struct sconce_error *e)
{
	o->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!o->library)
		return kit_fail(e, -1, "OpenVINO cannot be loaded: %.900s", dlerror());
	if (open_functions(o, path, e) < 0) {
		/* It stays in memory: it may have handlers by now. */
		o->library = NULL;
		return -1;
	}
	read_version(o);
	snprintf(o->path, sizeof(o->path), "%s", path);
	return 0;
}

static int find_take(void *arg, const char *path)
{
	struct candidates *c = arg;
	struct sconce_error e;

	if (open_library(c->engine, path, &e) == 0)
		return 0;
	if (!*c->first->text)
		*c->first = e;
	return -1;
}

/* By its name, as the loader finds it; its path is then known to the loader only. */
static int find_system(struct openvino *o)
{
	struct sconce_error ignored;
	struct link_map *map = NULL;
	int r = open_library(o, "libopenvino_c.so", &ignored);

	if (!r && dlinfo(o->library, RTLD_DI_LINKMAP, &map) == 0 && map && *map->l_name)
		snprintf(o->path, sizeof(o->path), "%s", map->l_name);
	return r;
}

static int find_anywhere(struct openvino *o, struct sconce_error *e)
{
	const char *python = o->host->python;
	struct candidates c = { o, e };

	*e->text = '\0';
	if (package_find(o->host, "openvino/libs/libopenvino_c.so*", find_take, &c) == 0 ||
	    find_system(o) == 0)
		return 0;
	if (*e->text)
		return -1;
	return kit_fail(e, -1,
			"OpenVINO is not installed: %.500s -m pip install openvino (or set "
			"engine.library)",
			python && *python ? python : "python3");
}

static int find_configured(struct openvino *o, const char *path, struct sconce_error *e)
{
	struct sconce_error why;

	if (open_library(o, path, &why) == 0)
		return 0;
	return kit_fail(e, -1, "engine.library: %.1000s", why.text);
}

int openvino_find(struct openvino *o, struct sconce_error *e)
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
