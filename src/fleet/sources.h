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

void source_resolve(const struct settings *s, const char *url, struct source *ret);
void source_finish(struct source *s);
/* All archives of the model store, as load_models=all takes them: not hidden, ending in .mar,
 * .model, .tar.gz or .tgz, or a folder. Sorted; free each and the array. */
char **source_list(const struct settings *s, size_t *ret_n);
