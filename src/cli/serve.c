/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

/* `sconce serve`: every setting is a flag. */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/util.h"
#include "cli/sources.h"
#include "serve/serve.h"

static int serve_help(void)
{
	struct buf b = BUF_INIT((size_t)1 << 20);

	buf_puts(&b,
		 "usage: sconce serve [--config FILE] [--<setting> VALUE ...]\n\n"
		 "Settings come from (later wins): defaults, the file, SCONCE_<SETTING> in the\n"
		 "environment, flags. Booleans may be given without a value. Without --config\n"
		 "the file is the newest snapshot, else config.properties.\n\n");
	settings_write_help(&b);
	fwrite(b.p, 1, b.n, stdout);
	buf_finish(&b);
	return 0;
}

static bool serve_is_flag_of_bool(struct slice key)
{
	const struct setting_info *info;

	for (unsigned i = 0; (info = settings_info(i)); i++) {
		_cleanup_(freep) char *name = mem_strdup(info->key);

		for (char *p = name; *p; p++)
			if (*p == '_')
				*p = '-';
		if ((slice_eq(key, slice_str(info->key)) || slice_eq(key, slice_str(name))) &&
		    strcmp(info->type, "boolean") == 0)
			return true;
	}
	return false;
}

/* One argument (and its value). Returns how many were used, or -1. */
static int serve_flag(struct settings *s, char **argv, int left, struct buf *why)
{
	struct slice value = slice_str(argv[0] + 2), key = slice_cut(&value, '=');
	int used = 1, r;

	if (!value.p) {
		bool bare = left < 2 || strncmp(argv[1], "--", 2) == 0;

		if (bare && !serve_is_flag_of_bool(key)) {
			buf_printf(why, "%s needs a value\n", argv[0]);
			return -1;
		}
		value = bare ? SLICE("true") : slice_str(argv[1]);
		used = bare ? 1 : 2;
	}
	r = settings_set(s, key, value, argv[0], why);
	if (r == -ENOENT)
		buf_printf(why, "there is no flag %s; `sconce serve --help` lists them\n", argv[0]);
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

/* It may be mounted later, so this is no error; a slip looks the same. */
static void serve_look_for_store(const struct settings *s, struct buf *why)
{
	struct stat st;

	if (!s->model_store || (stat(s->model_store, &st) == 0 && S_ISDIR(st.st_mode)))
		return;
	buf_puts(why, "warning: ");
	settings_put_head(s, "model_store", why);
	buf_printf(why, "there is no folder %s\n", s->model_store);
}

int serve_main(int argc, char **argv)
{
	struct serve_line line = { argc, argv };
	struct sources from = { .file = serve_config(argc, argv),
				.flags = serve_flags,
				.arg = &line };
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
	r = sources_load(&s, &from, &why);
	if (!r)
		r = settings_check(&s, &why);
	serve_look_for_store(&s, &why);
	sources_report(&why, stderr);
	code = r ? 2 : serve_run(&s, -1);
	buf_finish(&why);
	settings_finish(&s);
	return code;
}
