/* SPDX-License-Identifier: Apache-2.0 */
#include "onnx.h"

/* The library itself. Its table has no names, so before it is trusted it is tried. */

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int onnx_check(const struct onnx *o, ort_status *status, struct sconce_error *e)
{
	int r;

	if (!status)
		return 0;
	r = o->api->error_code(status) == ORT_INVALID_ARGUMENT ? SCONCE_BAD_INPUT : -1;
	kit_fail(e, r, "%s", o->api->error_message(status));
	o->api->release_status(status);
	return r;
}

/* A status that is made must read back. */
static bool try_status(const struct ort_api *a)
{
	static const char words[] = "tried by sconce";
	ort_status *s = a->create_status(ORT_INVALID_ARGUMENT, words);
	bool good = s && a->error_code(s) == ORT_INVALID_ARGUMENT &&
		    strcmp(a->error_message(s), words) == 0;

	if (s)
		a->release_status(s);
	return good;
}

/* So must a tensor, which uses places far apart. */
static bool try_tensor(const struct ort_api *a)
{
	int64_t numbers[6] = { 0 }, wanted[2] = { 2, 3 }, shape[2] = { 0 };
	ort_memory *m = NULL;
	ort_value *v = NULL;
	ort_tensor_info *info = NULL;
	void *data = NULL;
	size_t n = 0;
	int type = 0;
	bool good = !a->cpu_memory(ORT_ARENA, ORT_DEFAULT_MEMORY, &m) && m &&
		    !a->create_tensor_over(m, numbers, sizeof(numbers), wanted, 2, ORT_INT64, &v) &&
		    v && !a->tensor_data(v, &data) && data == numbers &&
		    !a->tensor_info(v, &info) && info && !a->element_type(info, &type) &&
		    type == ORT_INT64 && !a->dimensions_count(info, &n) && n == 2 &&
		    !a->dimensions(info, shape, n) && !memcmp(shape, wanted, sizeof(shape));

	if (info)
		a->release_tensor_info(info);
	if (v)
		a->release_value(v);
	if (m)
		a->release_memory(m);
	return good;
}

/* "1.31.1": 31; 0: that is no version we understand. */
static unsigned minor_of(const char *version)
{
	unsigned major = 0, minor = 0;

	return version && sscanf(version, "%u.%u", &major, &minor) == 2 && major == 1 ? minor : 0;
}

static int open_table(struct onnx *o, const char *path, struct sconce_error *e)
{
	const struct ort_api_base *(*base)(void);

	*(void **)&base = dlsym(o->library, "OrtGetApiBase");
	if (!base)
		return kit_fail(e, -1, "%.500s is no library of ONNX Runtime", path);
	o->version = base()->version();
	o->api_version = minor_of(o->version);
	if (o->api_version < ORT_VERSION_LEAST)
		return kit_fail(e, -1,
				"%.500s is ONNX Runtime %.40s; 1.%d or a later 1.x is needed", path,
				o->version ? o->version : "?", ORT_VERSION_LEAST);
	if (o->api_version > ORT_VERSION_KNOWN)
		o->api_version = ORT_VERSION_KNOWN;
	o->api = base()->get_api(o->api_version);
	if (!o->api || !try_status(o->api) || !try_tensor(o->api))
		return kit_fail(e, -1,
				"%.500s says that it is ONNX Runtime %.40s, but its interface is "
				"not the one of this version",
				path, o->version);
	return 0;
}

int ort_open(struct onnx *o, const char *path, struct sconce_error *e)
{
	o->library = kit_library_open("ONNX Runtime", path, o->path, e);
	if (!o->library)
		return -1;
	if (open_table(o, path, e) < 0) {
		/* It stays in memory: it may have started threads by now. */
		o->library = NULL;
		return -1;
	}
	return 0;
}
