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
#define OWN_FILE "config.properties"

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

/* The file that was named, or NULL. TorchServe: the variable goes before the flag. */
static const char *sources_file(const struct sources *from)
{
	const char *file = getenv("TS_CONFIG_FILE");

	return file && *file ? file : from->file;
}

/* The folder of the snapshots, by what everybody else says; NULL: they are not wanted.
 * What is wrong there is told when it is read for good. */
static char *snapshot_folder(const struct sources *from)
{
	_cleanup_(buf_finish) struct buf unsaid = BUF_INIT(WHY_MAX);
	char *folder = NULL;
	struct settings s;

	settings_init(&s);
	if (!sources_file(from) && access(OWN_FILE, F_OK) == 0)
		settings_load_file(&s, OWN_FILE, &unsaid);
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
	r = settings_load_snapshot(&trial, path, &problem);
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

/* Its path, or NULL. Nobody has looked into it. */
static char *newest_snapshot(const struct sources *from)
{
	_cleanup_(freep) char *folder = snapshot_folder(from);
	struct snapshot_files f = { 0 };
	char *path = NULL;

	if (folder)
		snapshot_files_list(&f, folder);
	for (size_t i = 0; i < f.n && !path; i++)
		if (snapshot_name_is(f.names[i]))
			path = mem_printf("%s/%s", folder, f.names[i]);
	snapshot_files_finish(&f);
	return path;
}

static void load_newest_snapshot(struct settings *s, const struct sources *from, struct buf *why)
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
}

/* ---- the file ---- */

int sources_load(struct settings *s, const struct sources *from, struct buf *why)
{
	const char *file = sources_file(from);
	int r = 0, others;

	if (file)
		s->snapshot_unused = newest_snapshot(from);
	else
		load_newest_snapshot(s, from, why);
	/* What a person wrote counts more than what a server remembered. */
	if (!file && access(OWN_FILE, F_OK) == 0)
		file = OWN_FILE;
	if (file)
		r = settings_load_file(s, file, why);
	others = load_others(s, from, why);
	settings_warn_withheld(s, why);
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
