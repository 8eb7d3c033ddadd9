/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

/* `sconce settings [--markdown]`: every setting, for people or as docs/settings.md. */

#include <stdio.h>
#include <string.h>

#include "config/settings.h"

int settings_main(int argc, char **argv)
{
	struct buf b = BUF_INIT((size_t)1 << 20);

	if (argc > 2 || (argc == 2 && strcmp(argv[1], "--markdown") != 0)) {
		fputs("usage: sconce settings [--markdown]\n", stderr);
		return 2;
	}
	if (argc == 2)
		settings_write_markdown(&b);
	else
		settings_write_help(&b);
	fwrite(b.p, 1, b.n, stdout);
	buf_finish(&b);
	return 0;
}
