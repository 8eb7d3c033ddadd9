/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

/* `sconce serve`: every setting is a flag. */

#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "cli/serve_flags.h"
#include "cli/sources.h"
#include "serve/serve.h"

static int serve_help(void)
{
	struct buf b = BUF_INIT((size_t)1 << 20);

	buf_puts(&b,
		 "usage: sconce serve [--config FILE] [--<setting> VALUE ...]\n\n"
		 "Settings come from (later wins): defaults, the file, SCONCE_<SETTING> in the\n"
		 "environment, flags. Booleans may be given without a value. Without --config\n"
		 "the newest snapshot is read, and config.properties, which wins.\n"
		 "--ncs is --no-config-snapshots; --disable-token-auth and --dt are\n"
		 "--disable-token-authorization.\n");
	settings_write_help(&b);
	fwrite(b.p, 1, b.n, stdout);
	buf_finish(&b);
	return 0;
}

int serve_main(int argc, char **argv)
{
	struct buf why = BUF_INIT((size_t)1 << 20);
	struct settings s;
	int r, code;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return serve_help();
		if (strcmp(argv[i], "--version") == 0) {
			printf("sconce %s\n", SCONCE_VERSION);
			return 0;
		}
	}
	settings_init(&s);
	r = serve_flags_load(&s, argc, argv, &why);
	sources_report(&why, stderr);
	code = r ? 2 : serve_run(&s, -1);
	buf_finish(&why);
	settings_finish(&s);
	return code;
}
