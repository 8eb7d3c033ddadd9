/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/sources.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

int sources_load(struct settings *s, const char *file, struct buf *why)
{
	const char *named = getenv("TS_CONFIG_FILE");
	int r = 0;

	/* TorchServe: the variable goes before the flag. */
	if (named && *named)
		file = named;
	if (!file && access("config.properties", R_OK) == 0)
		file = "config.properties";
	if (file) {
		r = settings_load_file(s, file, why);
		if (r < 0 && !why->n)
			buf_printf(why, "%s: %s\n", file, strerror(-r));
	}
	return r ? r : settings_load_environment(s, environ, why);
}
