/* SPDX-License-Identifier: Apache-2.0 */
#include "archive/archive.h"

/*
 * Unpacking what a stranger packed. Entry by entry, through descriptors below the target folder
 * only: no absolute or parent paths, no links or devices, bounded count, size and ratio. Of two
 * files with one name the later one stays, as the archive's directory has it.
 */

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "archive/bare.h"
#include "archive/error.h"
#include "archive/manifest.h"
#include "archive/names.h"
#include "archive/serving.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/progress.h"
#include "base/util.h"

#define UNPACK_READ ((size_t)65536)
#define UNPACK_PATH_MAX ((size_t)1024)
#define UNPACK_RATIO_FROM ((uint64_t)64 << 20) /* smaller ones harm nobody */
#define UNPACK_DEPTH_MAX 64

struct unpacking {
	struct archive *archive;
	const struct archive_limits *limits;
	struct archive_error *err;
	const char *source, *target;
	struct buf name; /* of the entry at hand */
	uint64_t packed, bytes, entries, folders;
};

static const char *unpack_name(const struct unpacking *u)
{
	const char *slash = strrchr(u->source, '/');

	return slash ? slash + 1 : u->source;
}

static int unpack_invalid(struct unpacking *u, const char *what, const char *path)
{
	return archive_fail(u->err, 400, "InvalidModelException", "%s: %s%s%.200s", unpack_name(u),
			    what, path ? ": " : "", path ? path : "");
}

static int unpack_disk(struct unpacking *u, int error)
{
	if (error == ENAMETOOLONG)
		return unpack_invalid(u, "an entry's name is too long", NULL);
	return archive_fail(u->err,
			    error == ENOSPC || error == EDQUOT || error == EFBIG ? 507 : 500,
			    "InternalServerException", "Failed to save model: %s: %s",
			    unpack_name(u), strerror(error));
}

/* A path that stays below the target: no root, no "..", no backslash, no control bytes. Normalises
 * "./a//b/" to "a/b"; an empty result is the folder itself. */
static int unpack_path(struct unpacking *u, const char *raw, char *out, size_t room)
{
	struct slice rest = slice_str(raw);
	size_t n = 0, depth = 0;

	if (!raw || rest.n >= UNPACK_PATH_MAX)
		return unpack_invalid(u, "an entry's path is too long or unreadable", NULL);
	if (raw[0] == '/' || strchr(raw, '\\'))
		return unpack_invalid(u, "an entry's path leaves the archive", raw);
	out[0] = '\0';
	while (rest.p) {
		struct slice part = slice_cut(&rest, '/');

		if (!part.n || slice_eq(part, SLICE(".")))
			continue;
		if (slice_eq(part, SLICE("..")))
			return unpack_invalid(u, "an entry's path leaves the archive", raw);
		if (++depth > UNPACK_DEPTH_MAX)
			return unpack_invalid(u, "an entry's path is too deep", raw);
		for (size_t i = 0; i < part.n; i++)
			if ((unsigned char)part.p[i] < 0x20)
				return unpack_invalid(u, "an entry's path has control characters",
						      NULL);
		assert(n + part.n + 2 <= room);
		n += (size_t)snprintf(out + n, room - n, "%s%.*s", n ? "/" : "", SLICE_ARG(part));
	}
	return 0;
}

static void unpack_tell(struct unpacking *u)
{
	la_int64_t read = archive_filter_bytes(u->archive, -1);

	progress_tell(u->limits->progress, MIN((uint64_t)MAX(read, 0), u->packed), u->packed);
}

static int unpack_count(struct unpacking *u, size_t n)
{
	u->bytes += n;
	unpack_tell(u);
	if (u->bytes > u->limits->bytes)
		return unpack_invalid(
			u, "the archive is larger than max_archive_size allows when unpacked",
			NULL);
	if (u->bytes > UNPACK_RATIO_FROM && u->packed && u->bytes / u->packed > u->limits->ratio)
		return unpack_invalid(u,
				      "the archive unpacks to more than max_archive_ratio times "
				      "its size: raise that setting for models that may",
				      NULL);
	return 0;
}

static int unpack_content(struct unpacking *u, int fd)
{
	char chunk[UNPACK_READ];

	for (;;) {
		la_ssize_t n = archive_read_data(u->archive, chunk, sizeof(chunk));
		struct slice rest = slice_make(chunk, n > 0 ? (size_t)n : 0);

		if (n < 0)
			return unpack_invalid(u, "the archive is damaged",
					      archive_error_string(u->archive));
		if (n == 0)
			return 0;
		if (unpack_count(u, (size_t)n) < 0)
			return -EINVAL;
		while (rest.n) {
			ssize_t w = write(fd, rest.p, rest.n);

			if (w < 0 && errno == EINTR)
				continue;
			if (w < 0)
				return unpack_disk(u, errno);
			rest = slice_make(rest.p + w, rest.n - (size_t)w);
		}
	}
}

static int unpack_too_many(struct unpacking *u)
{
	return unpack_invalid(
		u, "the archive has more files and folders than max_archive_entries allows", NULL);
}

/* The folder and those above it, up to the target. Each that is made counts: a single entry may
 * name dozens. */
static int unpack_make_folders(struct unpacking *u, const char *path)
{
	_cleanup_(freep) char *whole = mem_printf("%s/%s", u->target, path);
	struct stat st;

	for (char *at = whole + strlen(u->target) + 1;; at++) {
		char c = *at;

		if (c && c != '/')
			continue;
		*at = '\0';
		if (mkdir(whole, 0755) == 0) {
			if (++u->folders > u->limits->entries)
				return unpack_too_many(u);
		} else if (errno != EEXIST) {
			return unpack_disk(u, errno);
		} else if (lstat(whole, &st) < 0 || !S_ISDIR(st.st_mode)) {
			return unpack_invalid(u, "a file is also used as a folder", path);
		}
		*at = c;
		if (!c)
			return 0;
	}
}

static int unpack_open(struct unpacking *u, const char *whole, unsigned mode, const char *path)
{
	int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	int fd = open(whole, flags, mode);

	/* The name once more: a new file, not the content of one that others may have open. */
	if (fd < 0 && errno == EEXIST && unlink(whole) == 0)
		fd = open(whole, flags, mode);
	if (fd >= 0)
		return fd;
	return errno == EEXIST || errno == EISDIR || errno == EPERM
		       ? unpack_invalid(u, "a file is also used as a folder", path)
		       : unpack_disk(u, errno);
}

static int unpack_file(struct unpacking *u, struct archive_entry *e, const char *path)
{
	_cleanup_(freep) char *whole = mem_printf("%s/%s", u->target, path);
	unsigned mode = archive_entry_perm(e) & 0100 ? 0755 : 0644;
	_cleanup_(freep) char *folder = mem_strdup(path);
	_cleanup_(closep) int fd = -1;
	char *slash = strrchr(folder, '/');
	int r = 0;

	if (slash) {
		*slash = '\0';
		r = unpack_make_folders(u, folder);
	}
	if (r < 0)
		return r;
	fd = unpack_open(u, whole, mode, path);
	return fd < 0 ? fd : unpack_content(u, fd);
}

/* The entry's name in UTF-8; NULL: it has none that can be read. Valid until the next one. */
static const char *unpack_entry_name(struct unpacking *u, struct archive_entry *e)
{
	const char *raw = archive_entry_pathname(e);

	if (!raw || (archive_format(u->archive) & ARCHIVE_FORMAT_BASE_MASK) != ARCHIVE_FORMAT_ZIP)
		return raw;
	buf_clear(&u->name);
	return names_from_zip(slice_str(raw), &u->name) < 0 ? NULL : buf_cstr(&u->name);
}

static int unpack_entry(struct unpacking *u, struct archive_entry *e)
{
	char path[UNPACK_PATH_MAX];
	int r;

	if (++u->entries > u->limits->entries)
		return unpack_too_many(u);
	unpack_tell(u);
	if (archive_entry_is_encrypted(e))
		return unpack_invalid(u, "the archive is encrypted", NULL);
	r = unpack_path(u, unpack_entry_name(u, e), path, sizeof(path));
	if (r < 0)
		return r;
	if (archive_entry_hardlink(e) || archive_entry_symlink(e) ||
	    archive_entry_filetype(e) == AE_IFLNK)
		return unpack_invalid(u, "the archive contains a link, which is not allowed", path);
	switch (archive_entry_filetype(e)) {
	case AE_IFDIR:
		return *path ? unpack_make_folders(u, path) : 0;
	case AE_IFREG:
		return *path ? unpack_file(u, e, path)
			     : unpack_invalid(u, "an entry has no name", NULL);
	default:
		return unpack_invalid(u, "the archive contains a device or socket", path);
	}
}

static bool unpack_is_zip(const char *path)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	char magic[4];

	return fd >= 0 && read(fd, magic, sizeof(magic)) == sizeof(magic) &&
	       memcmp(magic, "PK\3\4", sizeof(magic)) == 0;
}

static int unpack_unreadable(struct unpacking *u)
{
	if (unpack_is_zip(u->source))
		return unpack_invalid(u, "the archive is damaged, or its end is missing", NULL);
	return unpack_invalid(u,
			      "this is not a model archive that can be read (.mar, .zip, .tar.gz)",
			      archive_error_string(u->archive));
}

static int unpack_entries(struct unpacking *u)
{
	struct archive_entry *e;
	int r;

	while ((r = archive_read_next_header(u->archive, &e)) == ARCHIVE_OK || r == ARCHIVE_WARN)
		if (unpack_entry(u, e) < 0)
			return -EINVAL;
	if (r != ARCHIVE_EOF)
		return unpack_unreadable(u);
	if (!u->entries)
		return unpack_invalid(u, "the archive is empty", NULL);
	return 0;
}

static int unpack_archive(const char *source, const char *target, uint64_t packed,
			  const struct archive_limits *limits, struct archive_error *err)
{
	struct unpacking u = { .limits = limits,
			       .err = err,
			       .source = source,
			       .target = target,
			       .name = BUF_INIT(3 * UNPACK_PATH_MAX),
			       .packed = packed };
	locale_t before = names_use_utf8();
	int r;

	u.archive = archive_read_new();
	/* By the directory at its end: without it nobody knows which files are missing. */
	archive_read_support_format_zip_seekable(u.archive);
	archive_read_support_format_tar(u.archive);
	archive_read_support_format_gnutar(u.archive);
	archive_read_support_filter_gzip(u.archive);
	/* Files that the kernel makes up may never end, or wait for what is yet to come. */
	if (!packed)
		r = unpack_invalid(&u, "the archive is empty", NULL);
	else if (file_make_dirs(target, 0755) < 0)
		r = unpack_disk(&u, errno);
	else if (archive_read_open_filename(u.archive, source, UNPACK_READ) != ARCHIVE_OK)
		r = unpack_unreadable(&u);
	else
		r = unpack_entries(&u);
	archive_read_free(u.archive);
	names_restore(before);
	buf_finish(&u.name);
	return r;
}

/* The only entry of a folder when that is a folder itself, else NULL; in the region. */
static const char *unpack_single_folder(struct region *r, const char *dir)
{
	_cleanup_(freep) char *only = NULL;
	DIR *d = opendir(dir);
	struct dirent *e;
	struct stat st;
	unsigned n = 0;
	char *path;

	while (d && (e = readdir(d)) && n < 2) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		free(only);
		only = mem_strdup(e->d_name);
		n++;
	}
	if (d)
		closedir(d);
	if (n != 1 || strcmp(only, "MAR-INF") == 0)
		return NULL;
	path = region_printf(r, "%s/%s", dir, only);
	return stat(path, &st) == 0 && S_ISDIR(st.st_mode) ? path : NULL;
}

/* It stays where it is. */
static int unpack_bare(struct region *r, const char *source, struct slice name_hint,
		       struct manifest *ret, struct slice *ret_dir, struct archive_error *err)
{
	struct slice file = bare_file(source);
	size_t n = strlen(source);

	if (!bare_ending(slice_str(source)).n)
		*ret_dir = region_copy(r, slice_make(source, n));
	else if (n == file.n)
		*ret_dir = SLICE(".");
	else
		*ret_dir = region_copy(r, slice_make(source, n - file.n - 1));
	return manifest_load_bare(r, ret_dir->p, file, slice_str(source), name_hint, ret, err);
}

int archive_unpack(struct region *r, const char *source, const char *target,
		   const struct archive_limits *limits, struct slice name_hint,
		   struct manifest *ret, struct slice *ret_dir, struct archive_error *err)
{
	const char *dir = target, *inner;
	struct stat st;
	int e = 0;

	buf_init(&err->message, 4096);
	if (stat(source, &st) < 0)
		return archive_fail(err, 404, "ModelNotFoundException", "Model not found at: %s",
				    source);
	if (bare_is_model(source))
		return unpack_bare(r, source, name_hint, ret, ret_dir, err);
	if (S_ISDIR(st.st_mode))
		dir = source;
	else if (S_ISREG(st.st_mode) && bare_otherwise(source))
		e = archive_fail(err, 400, "InvalidModelException", "%s %s", source,
				 bare_otherwise(source));
	else if (S_ISREG(st.st_mode))
		e = unpack_archive(source, target, (uint64_t)st.st_size, limits, err);
	else
		e = archive_fail(err, 400, "InvalidModelException",
				 "%s is neither a file nor a folder", source);
	if (!e) {
		inner = unpack_single_folder(r, dir);
		dir = inner ? inner : dir;
		*ret_dir = region_copy(r, slice_str(dir));
		e = manifest_load(r, dir, slice_str(source), name_hint, ret, err);
		if (!e)
			serving_load(dir, ret);
	}
	if (e && !S_ISDIR(st.st_mode))
		file_remove_tree(target);
	return e;
}
