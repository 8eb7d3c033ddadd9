/* SPDX-License-Identifier: Apache-2.0 */
#include "torch.h"

/* Where torch is. Nothing of it is loaded before a model is. */

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LIBRARY "torch/lib/libtorch_cpu.so"

static int find_take(void *arg, const char *path)
{
	struct torch *t = arg;
	size_t n = strlen(path) - strlen("/lib/libtorch_cpu.so");

	return snprintf(t->folder, sizeof(t->folder), "%.*s", (int)n, path) < KIT_PATH_MAX ? 0 : -1;
}

/* `__version__ = '2.13.0+cpu'` */
static int find_version(struct torch *t)
{
	char path[KIT_PATH_MAX + 16], line[512];
	FILE *f;
	int r = -1;

	snprintf(path, sizeof(path), "%s/version.py", t->folder);
	f = fopen(path, "re");
	while (f && r < 0 && fgets(line, sizeof(line), f))
		if (sscanf(line, "__version__ = '%255[^']'", t->version) == 1)
			r = 0;
	if (f)
		fclose(f);
	return r;
}

static bool find_has(const struct torch *t, const char *library)
{
	char path[KIT_PATH_MAX + 64];

	snprintf(path, sizeof(path), "%s/lib/%s", t->folder, library);
	return !access(path, R_OK);
}

int torch_find(struct torch *t, struct sconce_error *e)
{
	const char *python = t->host->python;

	if (package_find(t->host, LIBRARY, find_take, t) < 0)
		return kit_fail(e, -1, "PyTorch is not installed: %.500s -m pip install torch",
				python && *python ? python : "python3");
	if (find_version(t) < 0)
		return kit_fail(e, -1,
				"%.500s/version.py does not say which version of PyTorch that is",
				t->folder);
	t->devices = find_has(t, "libtorch_cuda.so") ? "cpu cuda" : "cpu";
	return 0;
}

int torch_open_library(const struct torch *t, const char *name, struct sconce_error *e)
{
	char path[KIT_PATH_MAX + 64];

	snprintf(path, sizeof(path), "%s/lib/%s", t->folder, name);
	if (dlopen(path, RTLD_NOW | RTLD_GLOBAL))
		return 0;
	return kit_fail(e, -1, "a library of PyTorch cannot be loaded: %.900s", dlerror());
}
