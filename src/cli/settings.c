/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

/* `sconce settings`: every setting, for people or as docs/settings.md; --effective: what counts
 * here. */

#include <string.h>

#include "base/util.h"
#include "cli/printable.h"
#include "cli/serve_flags.h"
#include "cli/sources.h"
#include "config/settings.h"

struct settings_args {
	bool markdown, effective;
};

static const struct option rows[] = {
	{ "--markdown", NULL, OPTION_FLAG, offsetof(struct settings_args, markdown), NULL,
	  "as the page docs/settings.md" },
	{ "--effective", NULL, OPTION_FLAG, offsetof(struct settings_args, effective), NULL,
	  "the values that `sconce serve` would have here and who gives them; flags of serve may "
	  "follow" },
};

const struct options settings_command = {
	.program = "sconce settings",
	.about = "Lists every setting of the server. Each is a flag of `sconce serve`, a key of\n"
		 "config.properties and SCONCE_<KEY> in the environment.",
	.rows = rows,
	.n = ARRAY_LEN(rows),
};

/* `argv` without --effective is a command line of `sconce serve`. */
static int settings_effective(int argc, char **argv)
{
	_cleanup_(buf_finish) struct buf b = BUF_INIT((size_t)4 << 20),
					 why = BUF_INIT((size_t)1 << 20);
	struct settings s;
	int r;

	settings_init(&s);
	r = serve_flags_load(&s, argc, argv, &why);
	sources_report(&why, stderr);
	if (!r) {
		settings_write_effective(&s, &b);
		printable_document(stdout, buf_slice(&b));
	}
	settings_finish(&s);
	return r ? 2 : 0;
}

static int settings_list(int argc, char **argv)
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

int settings_main(int argc, char **argv)
{
	int at = 1;

	while (at < argc && strcmp(argv[at], "--effective") != 0)
		at++;
	if (at < argc) {
		memmove(argv + at, argv + at + 1, (size_t)(argc - at) * sizeof(*argv));
		return settings_effective(argc - 1, argv);
	}
	return settings_list(argc, argv);
}
