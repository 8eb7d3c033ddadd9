/* SPDX-License-Identifier: Apache-2.0 */
#include "archive/writer.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "archive/collect.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/util.h"
#include "wire/json.h"

#define WRITE_CHUNK ((size_t)1 << 20)
#define WRITE_TIME 315532800 /* 1980-01-01, the earliest a zip can hold */

enum write_format { FORMAT_ZIP, FORMAT_STORE, FORMAT_TGZ, FORMAT_FOLDER };

static int write_fail(struct buf *why, int error, const char *what, const char *path)
{
	buf_printf(why, "%s %s: %s", what, path, strerror(-error));
	return error;
}

static void manifest_member(struct buf *b, const char *key, const char *path, bool base)
{
	const char *slash = path ? strrchr(path, '/') : NULL;

	if (!path)
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

/* ---- into a folder ---- */

static int write_copy(const char *from, const char *to)
{
	_cleanup_(closep) int in = open(from, O_RDONLY | O_CLOEXEC);
	_cleanup_(closep) int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	ssize_t n;

	if (in < 0 || out < 0)
		return -errno;
	while ((n = copy_file_range(in, NULL, out, NULL, (size_t)1 << 30, 0)) > 0)
		;
	if (n == 0)
		return 0;
	_cleanup_(freep) char *chunk = mem_alloc(WRITE_CHUNK);

	while ((n = read(in, chunk, WRITE_CHUNK)) > 0)
		if (write(out, chunk, (size_t)n) != n)
			return -EIO;
	return n < 0 ? -errno : 0;
}

static int write_folder(const struct collection *c, struct slice manifest, const char *target,
			struct buf *why)
{
	_cleanup_(freep) char *inf = mem_printf("%s/MAR-INF", target);
	_cleanup_(freep) char *file = mem_printf("%s/MANIFEST.json", inf);
	int r = file_make_dirs(inf, 0755);

	if (!r)
		r = file_write_atomic(file, manifest, 0644);
	if (r)
		return write_fail(why, r, "Cannot write", target);
	for (size_t i = 0; i < c->n; i++) {
		_cleanup_(freep) char *to = mem_printf("%s/%s", target, c->all[i].name);
		char *slash = strrchr(to, '/');

		*slash = '\0';
		r = file_make_dirs(to, 0755);
		*slash = '/';
		if (!r)
			r = write_copy(c->all[i].path, to);
		if (r)
			return write_fail(why, r, "Cannot write", to);
	}
	return 0;
}

/* ---- into an archive ---- */

static struct archive_entry *write_entry(const char *prefix, const char *name, int64_t size)
{
	struct archive_entry *e = archive_entry_new();
	_cleanup_(freep) char *path = mem_printf("%s%s", prefix, name);

	archive_entry_set_pathname(e, path);
	archive_entry_set_filetype(e, AE_IFREG);
	archive_entry_set_perm(e, 0644);
	archive_entry_set_size(e, size);
	archive_entry_set_mtime(e, WRITE_TIME, 0);
	return e;
}

static int write_text(struct archive *a, const char *prefix, const char *name, struct slice text)
{
	struct archive_entry *e = write_entry(prefix, name, (int64_t)text.n);
	int r = archive_write_header(a, e);

	archive_entry_free(e);
	return r == ARCHIVE_OK && archive_write_data(a, text.p, text.n) == (la_ssize_t)text.n
		       ? 0
		       : -EIO;
}

static int write_file(struct archive *a, const char *prefix, const struct collected *f)
{
	_cleanup_(closep) int fd = open(f->path, O_RDONLY | O_CLOEXEC);
	_cleanup_(freep) char *chunk = mem_alloc(WRITE_CHUNK);
	struct archive_entry *e;
	struct stat st;
	ssize_t n;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	e = write_entry(prefix, f->name, st.st_size);
	r = archive_write_header(a, e);
	archive_entry_free(e);
	if (r != ARCHIVE_OK)
		return -EIO;
	while ((n = read(fd, chunk, WRITE_CHUNK)) > 0)
		if (archive_write_data(a, chunk, (size_t)n) != n)
			return -EIO;
	return n < 0 ? -errno : 0;
}

static int write_archive(const struct collection *c, struct slice manifest,
			 enum write_format format, const char *model_name, const char *target,
			 struct buf *why)
{
	_cleanup_(freep) char *prefix = format == FORMAT_TGZ ? mem_printf("%s/", model_name)
							     : mem_strdup("");
	struct archive *a = archive_write_new();
	int r;

	if (format == FORMAT_TGZ) {
		archive_write_set_format_pax_restricted(a);
		archive_write_add_filter_gzip(a);
		archive_write_set_options(a, "gzip:compression-level=1,gzip:!timestamp");
	} else {
		archive_write_set_format_zip(a);
		archive_write_set_options(a, format == FORMAT_STORE ? "zip:compression=store"
								    : "zip:compression-level=1");
	}
	r = archive_write_open_filename(a, target) == ARCHIVE_OK ? 0 : -EIO;
	if (!r)
		r = write_text(a, prefix, "MAR-INF/MANIFEST.json", manifest);
	for (size_t i = 0; i < c->n && !r; i++)
		r = write_file(a, prefix, &c->all[i]);
	if (!r && archive_write_close(a) != ARCHIVE_OK)
		r = -EIO;
	if (r)
		buf_printf(why, "Cannot write %s: %s", target,
			   archive_error_string(a) ? archive_error_string(a) : strerror(-r));
	archive_write_free(a);
	return r;
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

static int write_checked(const struct archive_spec *s, enum write_format format,
			 const struct collection *c, struct buf *why)
{
	static const char *const endings[] = { ".mar", ".mar", ".tar.gz", "" };
	_cleanup_(freep) char *target = mem_printf("%s/%s%s", s->export_path ? s->export_path : ".",
						   s->model_name, endings[format]);
	_cleanup_(freep) char *partial = mem_printf("%s.%d.partial", target, (int)getpid());
	struct buf manifest = BUF_INIT(65536);
	int r;

	if (access(target, F_OK) == 0 && !s->force) {
		buf_printf(why,
			   "%s already exists.\nPlease specify --force/-f option to overwrite the "
			   "model "
			   "archive output file.\nSee -h/--help for more details.",
			   target);
		return -EEXIST;
	}
	write_manifest(s, &manifest);
	if (format == FORMAT_FOLDER)
		r = write_folder(c, buf_slice(&manifest), partial, why);
	else
		r = write_archive(c, buf_slice(&manifest), format, s->model_name, partial, why);
	buf_finish(&manifest);
	if (!r && format == FORMAT_FOLDER)
		file_remove_tree(target);
	if (!r && rename(partial, target) < 0)
		r = write_fail(why, -errno, "Cannot write", target);
	if (r)
		file_remove_tree(partial);
	return r;
}

int archive_write(const struct archive_spec *s, struct buf *why)
{
	struct collection c = { 0 };
	enum write_format format;
	int r = collect_check(s, why);

	if (!r && write_format_of(s->format, &format) < 0) {
		buf_printf(
			why,
			"Unknown archive format '%s'; allowed: default, zip-store, tgz, no-archive",
			s->format);
		r = -EINVAL;
	}
	if (!r)
		r = collect_files(s, &c, why);
	if (!r)
		r = write_checked(s, format, &c, why);
	collection_finish(&c);
	return r;
}
