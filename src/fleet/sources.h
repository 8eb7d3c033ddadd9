/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Where an archive's URL points: a name in the model store, a file:// URL or an absolute path, and
 * whether that is allowed. Nothing outside the model store is reachable by a bare path, whose last
 * word counts where the whole of it leads to nothing; file:// and http(s):// must match
 * allowed_urls.
 */

#include "config/settings.h"

struct source {
	char *path;     /* what to unpack; or */
	char *download; /* where to keep what the URL has; both NULL: refused, and why: */
	int status;
	const char *type;
	char *message;
};

/* These look into the file system, and may wait for it: for a thread of the pool, or the start.
 * `folder`: where downloads are kept that have no model store. */
void source_resolve(const struct settings *s, const char *url, const char *folder,
		    struct source *ret);
/* Before a download: is its name free? What is there already is taken instead with `reuse`, and
 * else the reason to refuse it. Makes the folder. */
void source_claim(struct source *s, bool reuse);
void source_finish(struct source *s);
/* The name that an archive of this name or URL most likely has: "sub/resnet.mar" is "resnet". */
struct slice source_stem(const char *name);
/* All archives of the model store, as load_models=all takes them: not hidden, ending in .mar,
 * .model, .tar.gz or .tgz, a folder, or a model that an engine loads (archive/bare.h). Sorted; free
 * each and the array. */
char **source_list(const struct settings *s, size_t *ret_n);
