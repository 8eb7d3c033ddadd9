/* SPDX-License-Identifier: Apache-2.0 */
#include "archive/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "archive/collect.h"
#include "archive/pack.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/util.h"
#include "wire/json.h"

#define WRITE_CHUNK ((size_t)1 << 20)
enum write_format { FORMAT_ZIP, FORMAT_STORE, FORMAT_TGZ, FORMAT_FOLDER };

static int write_fail(struct buf *notes, int error, const char *path)
{
	const char *reason = error == -EINTR    ? "interrupted"
			     : error == -ESTALE ? "it changed while it was read"
						: strerror(-error);

	buf_printf(notes, "ERROR - %s: %s\n", path, reason);
	return error;
}

static bool write_interrupted(const struct archive_spec *s)
{
	return s->interrupted && *s->interrupted;
}

static void manifest_member(struct buf *b, const char *key, const char *path, bool base)
{
	const char *slash = path ? strrchr(path, '/') : NULL;

	if (!path || !*path)
		return;
	buf_printf(b, ",\n    \"%s\": ", key);
	json_put_string(b, slice_str(base && slash ? slash + 1 : path));
}

static void write_date(struct buf *b)
{
	const char *epoch = getenv("SOURCE_DATE_EPOCH");
	uint64_t fixed;
	time_t now = epoch && slice_u64(slice_str(epoch), &fixed) ? (time_t)fixed : time(NULL);
	char date[32];
	struct tm t;

	if (epoch)
		gmtime_r(&now, &t);
	else
		localtime_r(&now, &t);
	strftime(date, sizeof(date), "%d/%m/%Y %H:%M:%S", &t);
	json_put_string(b, slice_str(date));
}

static void write_manifest(const struct archive_spec *s, struct buf *b)
{
	buf_puts(b, "{\n  \"createdOn\": ");
	write_date(b);
	buf_puts(b, ",\n  \"runtime\": ");
	json_put_string(b, slice_str(s->runtime ? s->runtime : "python"));
	buf_puts(b, ",\n  \"model\": {\n    \"modelName\": ");
	json_put_string(b, slice_str(s->model_name));
	manifest_member(b, "serializedFile", s->serialized_file, true);
	manifest_member(b, "handler", s->handler, true);
	manifest_member(b, "modelFile", s->model_file, true);
	manifest_member(b, "modelVersion", s->version, false);
	manifest_member(b, "requirementsFile", s->requirements_file, true);
	manifest_member(b, "configFile", s->config_file, true);
	buf_puts(b, "\n  },\n  \"archiverVersion\": \"0.12.0\"\n}");
}

/* Reads exactly `size` bytes and gives them on in pieces. -ESTALE: it has another size by now. */
static int write_pieces(const struct archive_spec *s, int fd, uint64_t size,
			int (*put)(void *to, struct slice piece), void *to)
{
	_cleanup_(freep) char *piece = mem_alloc(WRITE_CHUNK);

	for (;;) {
		ssize_t n = read(fd, piece, WRITE_CHUNK);
		int r;

		if (write_interrupted(s))
			return -EINTR;
		if (n < 0)
			return -errno;
		if ((uint64_t)n > size || (n == 0 && size))
			return -ESTALE;
		if (n == 0)
			return 0;
		size -= (uint64_t)n;
		r = put(to, slice_make(piece, (size_t)n));
		if (r)
			return r;
	}
}

/* -ESTALE: it was written to while it was read. */
static int write_same(int fd, const struct stat *before)
{
	struct stat now;

	if (fstat(fd, &now) < 0)
		return -errno;
	return now.st_size != before->st_size || now.st_mtim.tv_sec != before->st_mtim.tv_sec ||
			       now.st_mtim.tv_nsec != before->st_mtim.tv_nsec
		       ? -ESTALE
		       : 0;
}

/* ---- into a folder ---- */

static int write_to_file(void *to, struct slice piece)
{
	while (piece.n) {
		ssize_t n = write(*(int *)to, piece.p, piece.n);

		if (n < 0 && errno != EINTR)
			return -errno;
		piece = slice_make(piece.p + MAX(n, 0), piece.n - (size_t)MAX(n, 0));
	}
	return 0;
}

static int write_copy(const struct archive_spec *s, int in, uint64_t size, const char *path)
{
	_cleanup_(closep) int out = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	uint64_t left = size;
	ssize_t n = 1;

	if (out < 0)
		return -errno;
	/* The kernel copies, or shares the blocks where the file system can. */
	while (left && n > 0 && !write_interrupted(s)) {
		n = copy_file_range(in, NULL, out, NULL, MIN(left, (uint64_t)WRITE_CHUNK * 64), 0);
		left -= n > 0 ? (uint64_t)n : 0;
	}
	return write_pieces(s, in, left, write_to_file, &out);
}

static int write_member(const struct archive_spec *s, const struct collected *f, const char *target)
{
	_cleanup_(freep) char *path = mem_printf("%s/%s", target, f->name);
	_cleanup_(closep) int in = open(f->path, O_RDONLY | O_CLOEXEC);
	char *slash = strrchr(path, '/');
	struct stat st;
	int r;

	if (in < 0 || fstat(in, &st) < 0)
		return -errno;
	*slash = '\0';
	r = file_make_dirs(path, 0755);
	*slash = '/';
	if (!r)
		r = write_copy(s, in, (uint64_t)st.st_size, path);
	return r ? r : write_same(in, &st);
}

static int write_folder(const struct archive_spec *s, const struct collection *c,
			struct slice manifest, const char *target, struct buf *notes)
{
	_cleanup_(freep) char *inf = mem_printf("%s/MAR-INF", target);
	_cleanup_(freep) char *file = mem_printf("%s/MANIFEST.json", inf);
	int r = file_make_dirs(inf, 0755);

	if (!r)
		r = file_write_atomic(file, manifest, 0644);
	if (r)
		return write_fail(notes, r, target);
	for (size_t i = 0; i < c->n && !r; i++) {
		r = write_member(s, &c->all[i], target);
		if (r)
			write_fail(notes, r, c->all[i].path);
	}
	return r;
}

/* ---- into an archive ---- */

static int pack_piece(void *to, struct slice piece)
{
	struct pack *p = to;

	return p->ops->piece(p, piece);
}

static int write_packed(const struct archive_spec *s, struct pack *p, const char *prefix,
			const struct collected *f)
{
	_cleanup_(freep) char *name = mem_printf("%s%s", prefix, f->name);
	_cleanup_(closep) int fd = open(f->path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	do {
		if (lseek(fd, 0, SEEK_SET) < 0)
			return -errno;
		r = p->ops->begin(p, name, (uint64_t)st.st_size);
		if (!r)
			r = write_pieces(s, fd, (uint64_t)st.st_size, pack_piece, p);
		if (!r)
			r = p->ops->end(p);
	} while (r == PACK_AGAIN);
	return r ? r : write_same(fd, &st);
}

static int write_packed_text(struct pack *p, const char *name, struct slice text)
{
	int r;

	do {
		r = p->ops->begin(p, name, text.n);
		if (!r)
			r = p->ops->piece(p, text);
		if (!r)
			r = p->ops->end(p);
	} while (r == PACK_AGAIN);
	return r;
}

static int write_archive(const struct archive_spec *s, const struct collection *c,
			 struct slice manifest, enum write_format format, const char *target,
			 struct buf *notes)
{
	static struct pack *(*const packs[])(int) = { pack_zip, pack_stored, pack_tgz };
	_cleanup_(freep) char *prefix = format == FORMAT_TGZ ? mem_printf("%s/", s->model_name)
							     : mem_strdup("");
	_cleanup_(freep) char *name = mem_printf("%sMAR-INF/MANIFEST.json", prefix);
	_cleanup_(closep) int fd = open(target, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	_cleanup_(pack_destroyp) struct pack *p = NULL;
	int r;

	if (fd < 0)
		return write_fail(notes, -errno, target);
	p = packs[format](fd);
	r = write_packed_text(p, name, manifest);
	for (size_t i = 0; i < c->n && !r; i++) {
		r = write_packed(s, p, prefix, &c->all[i]);
		if (r)
			return write_fail(notes, r, c->all[i].path);
	}
	if (!r)
		r = p->ops->close(p);
	return r ? write_fail(notes, r, target) : 0;
}

/* ---- all together ---- */

static int write_format_of(const char *name, enum write_format *ret)
{
	static const char *const names[] = { "default", "zip-store", "tgz", "no-archive" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (strcmp(name ? name : "default", names[i]) != 0)
			continue;
		*ret = (enum write_format)i;
		return 0;
	}
	return -EINVAL;
}

static bool write_is_folder(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* --force must not cost anyone a folder that is no archive. */
static bool write_may_replace(const char *target)
{
	_cleanup_(freep) char *manifest = mem_printf("%s/MAR-INF/MANIFEST.json", target);

	return !write_is_folder(target) || access(manifest, F_OK) == 0;
}

static int write_check_target(const struct archive_spec *s, const char *folder, const char *target,
			      struct buf *notes)
{
	if (!write_is_folder(folder)) {
		buf_printf(notes,
			   "ERROR - Given export-path %s is not a directory. Point to a valid "
			   "export-path directory.\n",
			   folder);
		return -ENOTDIR;
	}
	if (access(target, F_OK) < 0)
		return 0;
	if (!s->force) {
		buf_printf(notes,
			   "ERROR - %s already exists.\nPlease specify --force/-f option to "
			   "overwrite the model archive output file.\nSee -h/--help for more "
			   "details.\n",
			   target);
		return -EEXIST;
	}
	if (!write_may_replace(target)) {
		buf_printf(notes,
			   "ERROR - %s is a folder without MAR-INF/MANIFEST.json, so it is no "
			   "archive and is not replaced: remove it, or use another --export-path\n",
			   target);
		return -EEXIST;
	}
	buf_printf(notes, "WARNING - Overwriting %s ...\n", target);
	return 0;
}

/* A folder that is there is exchanged at once where the file system can, and then removed. */
static int write_move(const char *partial, const char *target, bool folder)
{
	if (!folder || access(target, F_OK) < 0)
		return rename(partial, target) < 0 ? -errno : 0;
	if (renameat2(AT_FDCWD, partial, AT_FDCWD, target, RENAME_EXCHANGE) == 0)
		return file_remove_tree(partial);
	file_remove_tree(target);
	return rename(partial, target) < 0 ? -errno : 0;
}

static int write_checked(const struct archive_spec *s, enum write_format format, const char *folder,
			 struct buf *notes)
{
	static const char *const endings[] = { ".mar", ".mar", ".tar.gz", "" };
	/* Hidden: a server that looks into this folder takes it for no model. */
	_cleanup_(freep) char *target = mem_printf("%s/%s%s", folder, s->model_name,
						   endings[format]),
			      *partial = mem_printf("%s/.%s.%d.partial", folder, s->model_name,
						    (int)getpid());
	struct buf manifest = BUF_INIT(65536);
	struct collection c = { 0 };
	int r = write_check_target(s, folder, target, notes);

	if (!r)
		r = collect_files(s, &c, notes);
	write_manifest(s, &manifest);
	if (!r && buf_overflowed(&manifest))
		r = write_fail(notes, -ENAMETOOLONG, target);
	else if (!r && format == FORMAT_FOLDER)
		r = write_folder(s, &c, buf_slice(&manifest), partial, notes);
	else if (!r)
		r = write_archive(s, &c, buf_slice(&manifest), format, partial, notes);
	if (!r) {
		r = write_move(partial, target, format == FORMAT_FOLDER);
		if (r)
			write_fail(notes, r, target);
	}
	if (r)
		file_remove_tree(partial);
	collection_finish(&c);
	buf_finish(&manifest);
	return r;
}

int archive_write(const struct archive_spec *s, struct buf *notes)
{
	_cleanup_(freep) char *here = s->export_path ? NULL : getcwd(NULL, 0);
	const char *folder = s->export_path ? s->export_path : here ? here : ".";
	enum write_format format;
	int r = collect_check(s, notes);

	if (r)
		return r;
	if (write_format_of(s->format, &format) < 0) {
		buf_printf(notes,
			   "ERROR - Unknown archive format '%s'; allowed: default, zip-store, tgz, "
			   "no-archive\n",
			   s->format);
		return -EINVAL;
	}
	return write_checked(s, format, folder, notes);
}
