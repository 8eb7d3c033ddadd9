/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/sources.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/printable.h"
#include "config/model_list.h"
#include "config/snapshot_files.h"

#define WHY_MAX ((size_t)1 << 20)

extern char **environ;

/* All but the file. What is wrong with one does not keep the others from being read: every error is
 * told, and the folder for temporary files is known. */
static int load_others(struct settings *s, const struct sources *from, struct buf *why)
{
	int flags = 0, environment;

	if (from->environment_last)
		flags = from->flags(s, from->arg, why);
	environment = settings_load_environment(s, environ, why);
	if (!from->environment_last)
		flags = from->flags(s, from->arg, why);
	return flags ? flags : environment;
}

/* ---- snapshots ---- */

/* The folder of the snapshots, by what is known before any file is read; NULL: they are not wanted.
 * What is wrong there is told when it is read for good. */
static char *snapshot_folder(const struct sources *from)
{
	_cleanup_(buf_finish) struct buf unsaid = BUF_INIT(WHY_MAX);
	char *folder = NULL;
	struct settings s;

	settings_init(&s);
	load_others(&s, from, &unsaid);
	if (!s.no_config_snapshots)
		folder = mem_printf("%s/config", s.log_location ? s.log_location : "logs");
	settings_finish(&s);
	return folder;
}

/* A snapshot that was cut short has no model_snapshot, or not all of it. */
static int check_whole(const struct settings *s, struct buf *why)
{
	_cleanup_(model_list_finish) struct model_list l;
	_cleanup_(buf_finish) struct buf problem = BUF_INIT(1024);
	int r = model_list_parse(&l, MODEL_LIST_SNAPSHOT, slice_str(s->model_snapshot), &problem,
				 NULL);

	if (r)
		buf_printf(why, "model_snapshot: %s", buf_cstr(&problem));
	else if (!s->model_snapshot)
		buf_puts(why, "it has no model_snapshot, so it is no snapshot, or only a part");
	return s->model_snapshot ? r : -EINVAL;
}

/* Takes the place of `s` when it is good. */
static int try_snapshot(struct settings *s, const char *path, struct buf *why)
{
	_cleanup_(buf_finish) struct buf problem = BUF_INIT(WHY_MAX);
	struct settings trial;
	int r;

	settings_init(&trial);
	r = settings_load_file(&trial, path, &problem);
	if (!r)
		r = check_whole(&trial, &problem);
	if (r) {
		struct slice rest = buf_slice(&problem), line = slice_cut(&rest, '\n');

		buf_printf(why, "warning: snapshot %s is skipped: %.*s\n", path, SLICE_ARG(line));
		settings_finish(&trial);
		return r;
	}
	buf_put_slice(why, buf_slice(&problem));
	settings_finish(s);
	*s = trial;
	return 0;
}

static bool load_newest_snapshot(struct settings *s, const struct sources *from, struct buf *why)
{
	_cleanup_(freep) char *folder = snapshot_folder(from);
	struct snapshot_files f = { 0 };
	bool found = false;

	if (folder)
		snapshot_files_list(&f, folder);
	for (size_t i = 0; i < f.n && !found; i++) {
		_cleanup_(freep) char *path = mem_printf("%s/%s", folder, f.names[i]);

		if (snapshot_name_is(f.names[i]))
			found = try_snapshot(s, path, why) == 0;
		else
			buf_printf(why,
				   "warning: %s is skipped: it has not the name of a snapshot\n",
				   path);
	}
	snapshot_files_finish(&f);
	return found;
}

/* ---- the file ---- */

int sources_load(struct settings *s, const struct sources *from, struct buf *why)
{
	const char *file = getenv("TS_CONFIG_FILE");
	int r = 0, others;

	/* TorchServe: the variable goes before the flag. */
	if (!file || !*file)
		file = from->file;
	if (!file && !load_newest_snapshot(s, from, why) && access("config.properties", F_OK) == 0)
		file = "config.properties";
	if (file)
		r = settings_load_file(s, file, why);
	others = load_others(s, from, why);
	return r ? r : others;
}

void sources_report(const struct buf *why, FILE *out)
{
	struct slice rest = buf_slice(why);

	while (rest.n) {
		struct slice line = slice_cut(&rest, '\n');

		if (slice_starts(line, SLICE("warning: ")))
			printable_printf(stderr, "%.*s\n", SLICE_ARG(line));
		else if (line.n)
			printable_printf(out, "Invalid configuration: %.*s\n", SLICE_ARG(line));
	}
}
