/* SPDX-License-Identifier: Apache-2.0 */
#include "config/snapshot_files.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"

#define STAMP_LENGTH 17
#define FILE_MODE 0600 /* settings may have come from secrets in the environment */

static bool begins_with_stamp(const char *name)
{
	return strspn(name, "0123456789") == STAMP_LENGTH && name[STAMP_LENGTH] == '-';
}

bool snapshot_name_is(const char *name)
{
	static const char *const endings[] = { "startup.cfg", "snapshot.cfg", "shutdown.cfg" };

	if (!begins_with_stamp(name))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(endings); i++)
		if (strcmp(name + STAMP_LENGTH + 1, endings[i]) == 0)
			return true;
	return false;
}

char *snapshot_name_make(const char *kind, uint64_t now_ms, const char *after)
{
	time_t seconds = (time_t)(now_ms / 1000);
	uint64_t stamp = 0, last = 0;
	char date[32];
	struct tm local;

	localtime_r(&seconds, &local);
	strftime(date, sizeof(date), "%Y%m%d%H%M%S", &local);
	slice_u64(slice_str(date), &stamp);
	stamp = stamp * 1000 + now_ms % 1000;
	if (after && snapshot_name_is(after))
		slice_u64(slice_make(after, STAMP_LENGTH), &last);
	return mem_printf("%017llu-%s.cfg", (unsigned long long)MAX(stamp, last + 1), kind);
}

static int is_candidate(const struct dirent *d)
{
	return d->d_name[0] != '.' && slice_ends(slice_str(d->d_name), SLICE(".cfg"));
}

static int is_leftover(const struct dirent *d)
{
	return begins_with_stamp(d->d_name) && slice_ends(slice_str(d->d_name), SLICE(".tmp"));
}

static int newest_first(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*b)->d_name, (*a)->d_name);
}

static void list(struct snapshot_files *f, const char *folder,
		 int (*wanted)(const struct dirent *d))
{
	struct dirent **found = NULL;
	int n = scandir(folder, &found, wanted, newest_first);

	*f = (struct snapshot_files){ 0 };
	f->names = mem_zalloc((size_t)(MAX(n, 0) + 1) * sizeof(*f->names));
	for (int i = 0; i < n; i++) {
		f->names[f->n++] = mem_strdup(found[i]->d_name);
		free(found[i]);
	}
	free(found);
}

void snapshot_files_list(struct snapshot_files *f, const char *folder)
{
	list(f, folder, is_candidate);
}

void snapshot_files_finish(struct snapshot_files *f)
{
	for (size_t i = 0; i < f->n; i++)
		free(f->names[i]);
	free(f->names);
	*f = (struct snapshot_files){ 0 };
}

static void remove_in(const char *folder, const char *name)
{
	_cleanup_(freep) char *path = mem_printf("%s/%s", folder, name);

	unlink(path);
}

static void prune(const char *folder)
{
	struct snapshot_files f;
	unsigned kept = 0;

	snapshot_files_list(&f, folder);
	for (size_t i = 0; i < f.n; i++)
		if (snapshot_name_is(f.names[i]) && kept++ >= SNAPSHOTS_KEPT)
			remove_in(folder, f.names[i]);
	snapshot_files_finish(&f);
}

int snapshot_files_write(const char *folder, const char *name, struct slice text)
{
	_cleanup_(freep) char *path = mem_printf("%s/%s", folder, name);
	int r = file_make_dirs(folder, 0755);

	if (!r)
		r = file_write_atomic(path, text, FILE_MODE);
	if (r)
		return err_trace(r);
	prune(folder);
	return 0;
}

void snapshot_files_sweep(const char *folder)
{
	struct snapshot_files f;

	list(&f, folder, is_leftover);
	for (size_t i = 0; i < f.n; i++)
		remove_in(folder, f.names[i]);
	snapshot_files_finish(&f);
}
