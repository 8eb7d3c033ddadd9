/* SPDX-License-Identifier: Apache-2.0 */
#include "kit/kit.h"

/*
 * Where a runtime's library is. A path in the settings is all there is then; else packages of
 * Python come before what the system has, for there is what the user has installed last.
 */

#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <string.h>

struct candidates {
	const struct kit_library *library;
	void *engine;
	struct sconce_error *first; /* what stands in the way of the first that was tried */
};

void *kit_library_open(const char *runtime, const char *path, char ret_path[KIT_PATH_MAX],
		       struct sconce_error *e)
{
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	struct link_map *map = NULL;

	if (!library) {
		kit_fail(e, -1, "%s cannot be loaded: %.900s", runtime, dlerror());
		return NULL;
	}
	/* What is found by its name has a path that only the loader knows. */
	if (!strchr(path, '/') && dlinfo(library, RTLD_DI_LINKMAP, &map) == 0 && map &&
	    *map->l_name)
		path = map->l_name;
	snprintf(ret_path, KIT_PATH_MAX, "%s", path);
	return library;
}

static int find_take(void *arg, const char *path)
{
	struct candidates *c = arg;
	struct sconce_error e;

	if (c->library->open(c->engine, path, &e) == 0)
		return 0;
	if (!*c->first->text)
		*c->first = e;
	return -1;
}

static int find_system(const struct kit_library *l, void *engine)
{
	struct sconce_error ignored;
	int r = -1;

	for (const char *const *name = l->names; *name && r < 0; name++)
		r = l->open(engine, *name, &ignored);
	return r;
}

static int find_configured(const struct kit_library *l, const char *path, void *engine,
			   struct sconce_error *e)
{
	struct sconce_error why;

	if (l->open(engine, path, &why) == 0)
		return 0;
	return kit_fail(e, -1, "engine.library: %.1000s", why.text);
}

static int find_anywhere(const struct kit_library *l, const struct sconce_host *host, void *engine,
			 struct sconce_error *e)
{
	struct candidates c = { l, engine, e };

	*e->text = '\0';
	if (package_find(host, l->pattern, find_take, &c) == 0 || find_system(l, engine) == 0)
		return 0;
	if (*e->text)
		return -1;
	return kit_fail(
		e, -1, "%s is not installed: %.500s -m pip install %s (or set engine.library)",
		l->runtime, host->python && *host->python ? host->python : "python3", l->package);
}

int kit_library_find(const struct kit_library *l, const struct sconce_host *host, void *engine,
		     struct sconce_error *e)
{
	const char *path = NULL;
	struct settings s;
	int r = settings_read(&s, SCONCE_HAS(host, config) ? host->config : NULL, e);

	if (!r)
		r = settings_text(&s, "library", &path, e);
	if (!r)
		r = path ? find_configured(l, path, engine, e) : find_anywhere(l, host, engine, e);
	settings_finish(&s);
	return r;
}
