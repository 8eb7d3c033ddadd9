/* SPDX-License-Identifier: Apache-2.0 */
#include "kit/kit.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

int kit_file_read(struct kit_file *f, const char *path, struct sconce_error *e)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return kit_fail(e, -1, "%.800s: %s", path, strerror(errno));
	*f = (struct kit_file){ (uint64_t)st.st_dev, (uint64_t)st.st_ino, (uint64_t)st.st_size,
				st.st_mtim };
	return 0;
}

bool kit_file_is_the_same(const struct kit_file *f, const char *path)
{
	struct sconce_error ignored;
	struct kit_file now = { 0 };

	return kit_file_read(&now, path, &ignored) == 0 && now.device == f->device &&
	       now.number == f->number && now.size == f->size &&
	       now.changed.tv_sec == f->changed.tv_sec && now.changed.tv_nsec == f->changed.tv_nsec;
}
