/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

/* `sconce settings [--markdown]`: every setting, for people or as docs/settings.md. */

#include "base/util.h"
#include "config/settings.h"

struct settings_args {
	bool markdown;
};

static const struct option rows[] = {
	{ "--markdown", NULL, OPTION_FLAG, offsetof(struct settings_args, markdown), NULL,
	  "as the page docs/settings.md" },
};

const struct options settings_command = {
	.program = "sconce settings",
	.about = "Lists every setting of the server. Each is a flag of `sconce serve`, a key of\n"
		 "config.properties and SCONCE_<KEY> in the environment.",
	.rows = rows,
	.n = ARRAY_LEN(rows),
};

int settings_main(int argc, char **argv)
{
	struct buf b = BUF_INIT((size_t)1 << 20);
	struct settings_args args = { 0 };
	int r = options_parse(&settings_command, &args, argc, argv);

	if (r >= 0)
		return r;
	if (args.markdown)
		settings_write_markdown(&b);
	else
		settings_write_help(&b);
	fwrite(b.p, 1, b.n, stdout);
	buf_finish(&b);
	return 0;
}
