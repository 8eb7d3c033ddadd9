/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "archive/pack.h"
#include "archive/writer.h"
#include "base/file.h"
#include "base/mem.h"

/* ---- a system whose calls do less than they were asked for ---- */

static size_t write_at_most; /* 0: all */
static const char *changes;  /* written to while the next file is read */

ssize_t __real_pwrite(int fd, const void *p, size_t n, off_t at);
ssize_t __wrap_pwrite(int fd, const void *p, size_t n, off_t at);
ssize_t __real_write(int fd, const void *p, size_t n);
ssize_t __wrap_write(int fd, const void *p, size_t n);
ssize_t __real_read(int fd, void *p, size_t n);
ssize_t __wrap_read(int fd, void *p, size_t n);

ssize_t __wrap_pwrite(int fd, const void *p, size_t n, off_t at)
{
	return __real_pwrite(fd, p, write_at_most ? MIN(n, write_at_most) : n, at);
}

ssize_t __wrap_write(int fd, const void *p, size_t n)
{
	return __real_write(fd, p, write_at_most ? MIN(n, write_at_most) : n);
}

ssize_t __wrap_read(int fd, void *p, size_t n)
{
	ssize_t r = __real_read(fd, p, n);

	if (changes && r > 0) {
		int other = open(TAKE(changes), O_WRONLY | O_CLOEXEC);

		assert_int_equal(__real_write(other, "X", 1), 1);
		close(other);
	}
	return r;
}

/* ---- */

static char dir[] = "/tmp/sconce-pack-XXXXXX";

static void read_back(const char *path, const struct slice *texts, size_t n)
{
	struct archive *a = archive_read_new();
	struct archive_entry *e;
	char text[262144];

	archive_read_support_format_zip_streamable(a);
	archive_read_support_format_tar(a);
	archive_read_support_filter_gzip(a);
	assert_int_equal(archive_read_open_filename(a, path, 65536), ARCHIVE_OK);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(archive_read_next_header(a, &e), ARCHIVE_OK);
		assert_int_equal(archive_entry_size(e), texts[i].n);
		assert_int_equal(archive_read_data(a, text, sizeof(text)), texts[i].n);
		assert_memory_equal(text, texts[i].p, texts[i].n);
	}
	assert_int_equal(archive_read_next_header(a, &e), ARCHIVE_EOF);
	archive_read_free(a);
}

/* Returns the archive's size. */
static size_t packed(struct pack *(*kind)(int), const struct slice *texts, size_t n)
{
	_cleanup_(freep) char *path = mem_printf("%s/a", dir);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	struct pack *p = kind(fd);
	struct stat st;

	for (size_t i = 0; i < n; i++) {
		char name[24];
		int r;

		snprintf(name, sizeof(name), "f%zu", i);
		do {
			size_t half = texts[i].n / 2;

			assert_int_equal(p->ops->begin(p, name, texts[i].n), 0);
			assert_int_equal(p->ops->piece(p, slice_make(texts[i].p, half)), 0);
			assert_int_equal(
				p->ops->piece(p, slice_make(texts[i].p + half, texts[i].n - half)),
				0);
			r = p->ops->end(p);
		} while (r == PACK_AGAIN);
		assert_int_equal(r, 0);
	}
	assert_int_equal(p->ops->close(p), 0);
	p->ops->destroy(p);
	assert_int_equal(fstat(fd, &st), 0);
	close(fd);
	read_back(path, texts, n);
	return (size_t)st.st_size;
}

static void compression_never_makes_it_larger(void **state)
{
	static char noise[200000], mixed[200000], words[200000];
	struct slice texts[] = { SLICE(""),
				 SLICE("x"),
				 SLICE("def handle(data, context):\n\treturn data\n"),
				 slice_make(noise, sizeof(noise)),
				 slice_make(mixed, sizeof(mixed)),
				 slice_make(words, sizeof(words)) };
	uint64_t seed = 1;

	(void)state;
	for (size_t i = 0; i < sizeof(noise); i++) {
		seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
		noise[i] = (char)(seed >> 56);
		/* Compresses well at first, and then not at all. */
		mixed[i] = i < 64 ? 'a' : noise[i];
		words[i] = "the same words "[i % 15];
	}
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		assert_true(packed(pack_zip, &texts[i], 1) <= packed(pack_stored, &texts[i], 1));
	assert_true(packed(pack_zip, texts, ARRAY_LEN(texts)) <
		    packed(pack_stored, texts, ARRAY_LEN(texts)) - sizeof(words) / 2);
	packed(pack_tgz, texts, ARRAY_LEN(texts));
}

static void short_writes_are_completed(void **state)
{
	const struct slice texts[] = { SLICE("some text of some length, some text of some length"),
				       SLICE("b") };

	(void)state;
	write_at_most = 3;
	packed(pack_stored, texts, ARRAY_LEN(texts));
	packed(pack_zip, texts, ARRAY_LEN(texts));
	write_at_most = 0;
}

static void files_that_change_while_they_are_packed_are_refused(void **state)
{
	static const char *const formats[] = { "default", "zip-store", "tgz" };
	static const struct timespec long_ago[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };
	_cleanup_(freep) char *handler = mem_printf("%s/h.py", dir);
	_cleanup_(freep) char *out = mem_printf("%s/m.mar", dir);
	struct archive_spec spec = {
		.model_name = "m", .version = "1", .handler = handler, .export_path = dir
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
		struct buf why = BUF_INIT(4096);

		assert_int_equal(file_write_atomic(handler, SLICE("pass\n"), 0644), 0);
		assert_int_equal(utimensat(AT_FDCWD, handler, long_ago, 0), 0);
		spec.format = formats[i];
		changes = handler;
		assert_int_equal(archive_write(&spec, &why), -ESTALE);
		assert_non_null(strstr(buf_cstr(&why), "it changed while it was read"));
		assert_int_equal(access(out, F_OK), -1);
		buf_finish(&why);
	}
}

static int set_up(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	return file_remove_tree(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(compression_never_makes_it_larger),
		cmocka_unit_test(short_writes_are_completed),
		cmocka_unit_test(files_that_change_while_they_are_packed_are_refused),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
