/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/stage.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/util.h"

static int stage_link(const struct stage *s, const char *from, const char *name, struct buf *why)
{
	_cleanup_(freep) char *to = mem_printf("%s/%s", s->into, name);

	if (symlink(from, to) == 0 || errno == EEXIST)
		return 0;
	buf_printf(why, "%s cannot be made: %s", to, strerror(errno));
	return -errno;
}

static bool stage_wants(const struct dirent *e)
{
	const char *name = e->d_name;

	return name[0] != '.' && !slice_ends(slice_str(name), SLICE(".py")) &&
	       strcmp(name, "__pycache__") != 0 && strcmp(name, "MAR-INF") != 0;
}

/* Packages are imported from where they lie, too. */
static bool stage_is_package(const char *path)
{
	_cleanup_(freep) char *mark = mem_printf("%s/__init__.py", path);

	return access(mark, F_OK) == 0;
}

static int stage_link_folder(const struct stage *s, struct buf *why)
{
	DIR *d = opendir(s->folder);
	struct dirent *e;
	int r = 0;

	if (!d) {
		buf_printf(why, "%s cannot be read: %s", s->folder, strerror(errno));
		return -errno;
	}
	while (!r && (e = readdir(d))) {
		_cleanup_(freep) char *from = mem_printf("%s/%s", s->folder, e->d_name);

		if (stage_wants(e) && !stage_is_package(from))
			r = stage_link(s, from, e->d_name, why);
	}
	closedir(d);
	return r;
}

int stage_make(const struct stage *s, struct buf *why)
{
	_cleanup_(freep) char *folder = mem_printf("%s/MAR-INF", s->into);
	_cleanup_(freep) char *manifest = mem_printf("%s/MANIFEST.json", folder);
	int r;

	if (!s->into)
		return 0;
	r = file_make_dirs(folder, 0700);
	if (!r)
		r = file_write_atomic(manifest, slice_str(s->manifest), 0600);
	if (r < 0)
		buf_printf(why, "%s cannot be made: %s", manifest, strerror(-r));
	for (size_t i = 0; !r && s->files[i]; i++)
		r = stage_link(s, s->files[i], strrchr(s->files[i], '/') + 1, why);
	return !r && s->folder ? stage_link_folder(s, why) : r;
}
