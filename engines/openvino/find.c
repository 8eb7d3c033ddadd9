/* SPDX-License-Identifier: Apache-2.0 */
#include "openvino.h"

/* Where OpenVINO is: nothing of it is needed before a model is. */

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

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

static int open_library(void *engine, const char *path, struct sconce_error *e)
{
	struct openvino *o = engine;

	o->library = kit_library_open("OpenVINO", path, o->path, e);
	if (!o->library)
		return -1;
	if (open_functions(o, path, e) < 0) {
		/* It stays in memory: it may have handlers by now. */
		o->library = NULL;
		return -1;
	}
	read_version(o);
	return 0;
}

int openvino_find(struct openvino *o, struct sconce_error *e)
{
	static const char *const names[] = { "libopenvino_c.so", NULL };
	static const struct kit_library library = {
		.runtime = "OpenVINO",
		.package = "openvino",
		.pattern = "openvino/libs/libopenvino_c.so*",
		.names = names,
		.open = open_library,
	};

	return kit_library_find(&library, o->host, o, e);
}
