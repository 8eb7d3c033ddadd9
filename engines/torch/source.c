/* SPDX-License-Identifier: Apache-2.0 */
#include "torch.h"

/* The shim's source: a folder beside the plug-in's own file. */

#include <dirent.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int source_folder(char *ret, size_t room)
{
	static const char anchor;
	const char *slash;
	Dl_info info;

	if (!dladdr(&anchor, &info) || !info.dli_fname || !(slash = strrchr(info.dli_fname, '/')))
		return -1;
	return snprintf(ret, room, "%.*s/torch/shim", (int)(slash - info.dli_fname),
			info.dli_fname) < (int)room
		       ? 0
		       : -1;
}

static int hash_file(uint64_t *hash, const char *folder, const char *name)
{
	char path[2 * KIT_PATH_MAX], block[4096];
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "re");
	if (!f)
		return -1;
	kit_hash(hash, name, strlen(name) + 1);
	while ((n = fread(block, 1, sizeof(block), f)))
		kit_hash(hash, block, n);
	fclose(f);
	return 0;
}

static int is_source(const struct dirent *d)
{
	const char *dot = strrchr(d->d_name, '.');

	return *d->d_name != '.' && dot && (strcmp(dot, ".h") == 0 || strcmp(dot, ".cpp") == 0);
}

int source_hash(const char *folder, uint64_t *ret)
{
	struct dirent **entries = NULL;
	int n = scandir(folder, &entries, is_source, alphasort), r = n > 0 ? 0 : -1;

	*ret = KIT_HASH_BEGIN;
	for (int i = 0; i < n; i++) {
		if (!r)
			r = hash_file(ret, folder, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	return r ? r : hash_file(ret, folder, "sconce/engine.h");
}
