/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/serve_flags.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/util.h"
#include "cli/sources.h"

/* NULL: nothing is called so. */
static const struct setting_info *serve_info(struct slice key)
{
	const struct setting_info *info;

	for (unsigned i = 0; (info = settings_info(i)); i++) {
		_cleanup_(freep) char *name = mem_strdup(info->key);

		for (char *p = name; *p; p++)
			if (*p == '_')
				*p = '-';
		if (slice_eq(key, slice_str(info->key)) || slice_eq(key, slice_str(name)))
			return info;
	}
	return NULL;
}

/* The short names of `torchserve`, which people know and our messages use. */
static struct slice serve_meant(struct slice key)
{
	static const struct {
		struct slice alias, key;
	} all[] = {
		{ SLICE_CONST("ncs"), SLICE_CONST("no_config_snapshots") },
		{ SLICE_CONST("dt"), SLICE_CONST("disable_token_authorization") },
		{ SLICE_CONST("disable-token-auth"), SLICE_CONST("disable_token_authorization") },
	};

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (slice_eq(key, all[i].alias))
			return all[i].key;
	return key;
}

/* One argument (and its value). Returns how many were used, or -1. */
static int serve_flag(struct settings *s, char **argv, int left, struct buf *why)
{
	struct slice value = slice_str(argv[0] + 2), key = slice_cut(&value, '=');
	_cleanup_(freep) char *flag = mem_printf("--%.*s", SLICE_ARG(key));
	int used = 1, r;

	key = serve_meant(key);
	if (!value.p) {
		bool bare = left < 2 || strncmp(argv[1], "--", 2) == 0;
		const struct setting_info *info = serve_info(key);

		if (bare && info && strcmp(info->type, "boolean") != 0) {
			buf_printf(why, "%s needs a value\n", flag);
			return -1;
		}
		value = bare ? SLICE("true") : slice_str(argv[1]);
		used = bare ? 1 : 2;
	}
	r = settings_set(s, key, value, flag, why);
	if (r == -ENOENT)
		buf_printf(why, "there is no flag %s; `sconce serve --help` lists them\n", flag);
	return r < 0 ? -1 : used;
}

struct serve_line {
	int argc;
	char **argv;
};

static int serve_flags(struct settings *s, void *arg, struct buf *why)
{
	const struct serve_line *line = arg;
	char **argv = line->argv;
	int argc = line->argc;

	for (int i = 1; i < argc;) {
		int used;

		if (strcmp(argv[i], "--config") == 0 || strcmp(argv[i], "--ts-config") == 0) {
			if (i + 1 == argc) {
				buf_printf(why, "%s needs a value\n", argv[i]);
				return -EINVAL;
			}
			i += 2;
			continue;
		}
		if (strncmp(argv[i], "--config=", 9) == 0 ||
		    strncmp(argv[i], "--ts-config=", 12) == 0) {
			i++;
			continue;
		}
		if (strncmp(argv[i], "--", 2) != 0) {
			buf_printf(why, "'%s' is not a flag\n", argv[i]);
			return -EINVAL;
		}
		used = serve_flag(s, argv + i, argc - i, why);
		if (used < 0)
			return -EINVAL;
		i += used;
	}
	return 0;
}

static const char *serve_config(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if ((strcmp(argv[i], "--config") == 0 || strcmp(argv[i], "--ts-config") == 0) &&
		    i + 1 < argc)
			return argv[i + 1];
		if (strncmp(argv[i], "--config=", 9) == 0)
			return argv[i] + 9;
		if (strncmp(argv[i], "--ts-config=", 12) == 0)
			return argv[i] + 12;
	}
	return NULL;
}

int serve_flags_load(struct settings *s, int argc, char **argv, struct buf *why)
{
	struct serve_line line = { argc, argv };
	struct sources from = { .file = serve_config(argc, argv),
				.flags = serve_flags,
				.arg = &line };
	int r = sources_load(s, &from, why);

	return r ? r : settings_check(s, why);
}
