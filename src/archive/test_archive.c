/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <archive.h>
#include <archive_entry.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "archive/archive.h"
#include "archive/manifest.h"
#include "archive/writer.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/util.h"

static const char manifest[] =
	"{\"runtime\":\"python\",\"model\":{\"modelName\":\"m\",\"modelVersion\":\"2.1\","
	"\"handler\":\"h.py\",\"configFile\":\"c.yaml\"}}";

static char dir[] = "/tmp/sconce-archive-XXXXXX";
static char source[64], target[64];
static struct region region;

struct entry {
	const char *name, *content;
	const char *link; /* a symbolic link to */
	bool hard, device;
};

static void pack(bool tar, const struct entry *entries, size_t n)
{
	struct archive *a = archive_write_new();

	if (tar) {
		archive_write_set_format_pax_restricted(a);
		archive_write_add_filter_gzip(a);
	} else {
		archive_write_set_format_zip(a);
	}
	assert_int_equal(archive_write_open_filename(a, source), ARCHIVE_OK);
	for (size_t i = 0; i < n; i++) {
		const struct entry *e = &entries[i];
		struct archive_entry *ae = archive_entry_new();
		size_t size = e->content ? strlen(e->content) : 0;

		archive_entry_set_pathname(ae, e->name);
		archive_entry_set_filetype(ae, e->device ? AE_IFCHR
					       : e->link ? AE_IFLNK
							 : AE_IFREG);
		if (e->link && e->hard)
			archive_entry_set_hardlink(ae, e->link);
		else if (e->link)
			archive_entry_set_symlink(ae, e->link);
		archive_entry_set_perm(ae, 0644);
		archive_entry_set_size(ae, (int64_t)size);
		archive_write_header(a, ae);
		if (size)
			archive_write_data(a, e->content, size);
		archive_entry_free(ae);
	}
	archive_write_close(a);
	archive_write_free(a);
}

static struct archive_limits limits = { 4 << 20, 20, 50 };

static int unpack(struct manifest *m, struct slice *where, struct archive_error *err)
{
	return archive_unpack(&region, source, target, &limits, SLICE_NULL, m, where, err);
}

static void refused(int status, const char *words)
{
	struct archive_error err = { 0 };
	struct manifest m;
	struct slice where;

	assert_true(unpack(&m, &where, &err) < 0);
	assert_int_equal(err.status, status);
	if (!strstr(buf_cstr(&err.message), words))
		print_error("%s\n", buf_cstr(&err.message));
	assert_non_null(strstr(buf_cstr(&err.message), words));
	buf_finish(&err.message);
	assert_int_equal(access(target, F_OK), -1);
}

static void accepted(const char *version, const char *file)
{
	_cleanup_(freep) char *path = NULL;
	struct archive_error err = { 0 };
	struct manifest m;
	struct slice where;

	if (unpack(&m, &where, &err) < 0)
		print_error("%s\n", buf_cstr(&err.message));
	assert_int_equal(err.status, 0);
	assert_true(slice_eq(m.model_name, SLICE("m")));
	assert_true(slice_eq(m.model_version, slice_str(version)));
	assert_int_equal(m.batch_size, 4);
	assert_string_equal(m.config_json.p, "{\"batchSize\": 4, \"mine\": [1, true]}");
	path = mem_printf("%s/%s", where.p, file);
	assert_int_equal(access(path, R_OK), 0);
	buf_finish(&err.message);
	file_remove_tree(target);
}

static void ordinary_archives_are_unpacked(void **state)
{
	static const struct entry zip[] = {
		{ .name = "MAR-INF/MANIFEST.json", .content = manifest },
		{ .name = "c.yaml", .content = "batchSize: 4\nmine: [1, yes]\n" },
		{ .name = "deep/er/h.py", .content = "pass" }
	};
	static const struct entry tar[] = {
		{ .name = "m/MAR-INF/MANIFEST.json", .content = manifest },
		{ .name = "m/c.yaml", .content = "batchSize: 4\nmine: [1, yes]\n" },
		{ .name = "./m/deep/er/h.py", .content = "pass" }
	};

	(void)state;
	pack(false, zip, ARRAY_LEN(zip));
	accepted("2.1", "deep/er/h.py");
	pack(true, tar, ARRAY_LEN(tar));
	accepted("2.1", "deep/er/h.py");
}

#define LONG "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define LONGER LONG LONG LONG LONG

static void nothing_leaves_the_target(void **state)
{
	static const struct {
		bool tar;
		struct entry e;
		const char *words;
	} rows[] = {
		{ false, { .name = LONGER, .content = "x" }, "name is too long" },
		{ true, { .name = LONGER "/a", .content = "x" }, "name is too long" },
		{ false, { .name = "../evil", .content = "x" }, "leaves the archive" },
		{ false, { .name = "a/../../evil", .content = "x" }, "leaves the archive" },
		{ false, { .name = "/tmp/evil", .content = "x" }, "leaves the archive" },
		{ false, { .name = "a\\..\\evil", .content = "x" }, "leaves the archive" },
		{ true, { .name = "link", .link = "/etc/passwd" }, "a link, which is not allowed" },
		{ true,
		  { .name = "link", .link = "/etc/passwd", .hard = true },
		  "a link, which is not allowed" },
		{ false, { .name = "link", .link = "../.." }, "a link, which is not allowed" },
		{ true, { .name = "dev", .device = true }, "a device or socket" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		pack(rows[i].tar, &rows[i].e, 1);
		refused(400, rows[i].words);
	}
}

static void sizes_and_counts_are_bounded(void **state)
{
	static const struct entry nested[] = { { .name = "a/b/c/d/e/f/g/h/i/j/k", .content = "x" },
					       { .name = "1/2/3/4/5/6/7/8/9/0/x", .content = "x" },
					       { .name = "z/y", .content = "x" } };
	struct entry many[30];

	(void)state;
	pack(false, nested, ARRAY_LEN(nested));
	refused(400, "max_archive_entries");
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		many[i] = (struct entry){ .name = mem_printf("f%zu", i), .content = "x" };
	pack(false, many, ARRAY_LEN(many));
	refused(400, "max_archive_entries");
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		free((char *)(uintptr_t)many[i].name);
}

static void bombs_are_refused_by_their_ratio(void **state)
{
	const size_t size = (size_t)65 << 20;
	_cleanup_(freep) char *zeros = mem_zalloc(size + 1);
	struct entry bomb = { .name = "zeros", .content = zeros };

	(void)state;
	memset(zeros, '0', size);
	limits.bytes = UINT64_MAX;
	pack(false, &bomb, 1);
	refused(400, "max_archive_ratio");
	/* Small ones may be as dense as they like. */
	zeros[size / 2] = '\0';
	pack(false, &bomb, 1);
	refused(400, "Model name is not defined.");
	limits.bytes = 4 << 20;
}

/* What an entry of the archive has become; "" when it is not there. */
static void unpacked_is(const char *name, const char *want)
{
	_cleanup_(freep) char *path = NULL;
	_cleanup_(buf_finish) struct buf text = BUF_INIT(4096);
	struct archive_error err = { 0 };
	struct manifest m;
	struct slice where;

	if (unpack(&m, &where, &err) < 0)
		print_error("%s\n", buf_cstr(&err.message));
	assert_int_equal(err.status, 0);
	path = mem_printf("%s/%s", target, name);
	assert_int_equal(file_read(path, &text), 0);
	assert_string_equal(buf_cstr(&text), want);
	buf_finish(&err.message);
	file_remove_tree(target);
}

static void of_two_with_one_name_the_later_stays(void **state)
{
	static const struct entry twice[] = {
		{ .name = "MAR-INF/MANIFEST.json", .content = "{oops" },
		{ .name = "a", .content = "long before" },
		{ .name = "./a", .content = "later" },
		{ .name = "MAR-INF/MANIFEST.json", .content = manifest }
	};

	(void)state;
	for (unsigned tar = 0; tar < 2; tar++) {
		pack(tar, twice, ARRAY_LEN(twice));
		unpacked_is("a", "later");
	}
}

/* libarchive's own writer, with the bytes of names replaced where they are not UTF-8. */
static void pack_named(bool tar, const char *ascii, const char *raw)
{
	const struct entry e[] = { { .name = "MAR-INF/MANIFEST.json", .content = manifest },
				   { .name = ascii, .content = "here" } };
	struct buf whole = BUF_INIT(1 << 20);

	pack(tar, e, 2);
	assert_int_equal(file_read(source, &whole), 0);
	assert_int_equal(strlen(ascii), strlen(raw));
	for (char *at = whole.p;
	     (at = memmem(at, whole.n - (size_t)(at - whole.p), ascii, strlen(ascii)));)
		memcpy(at, raw, strlen(raw));
	assert_int_equal(file_write_atomic(source, buf_slice(&whole), 0644), 0);
	buf_finish(&whole);
}

static void names_need_no_locale(void **state)
{
	locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0), before = uselocale(utf8);
	static const struct entry e[] = { { .name = "MAR-INF/MANIFEST.json", .content = manifest },
					  { .name = "\xc3\xa9tiquettes.txt", .content = "here" } };

	(void)state;
	for (unsigned tar = 0; tar < 2; tar++) {
		uselocale(utf8);
		pack(tar, e, 2);
		uselocale(before);
		unpacked_is("\xc3\xa9tiquettes.txt", "here");
	}
	freelocale(utf8);
	/* Without the mark that it is UTF-8, and what DOS wrote. */
	pack_named(false, "eetiquettes.txt", "\xc3\xa9tiquettes.txt");
	unpacked_is("\xc3\xa9tiquettes.txt", "here");
	pack_named(false, "etiquettes.txt", "\x82tiquettes.txt");
	unpacked_is("\xc3\xa9tiquettes.txt", "here");
	pack_named(false, "quarter--block", "quarter\xac\xdb\xfflock");
	unpacked_is("quarter\xc2\xbc\xe2\x96\x88\xc2\xa0lock", "here");
}

static void what_is_no_file_in_a_folder_is_refused(void **state)
{
	_cleanup_(freep) char *inf = mem_printf("%s/MAR-INF", source);
	_cleanup_(freep) char *json = mem_printf("%s/MANIFEST.json", inf);
	_cleanup_(freep) char *yaml = mem_printf("%s/c.yaml", source);

	(void)state;
	file_remove_tree(source);
	assert_int_equal(file_make_dirs(inf, 0755), 0);
	assert_int_equal(mkfifo(json, 0644), 0);
	refused(400, "MANIFEST.json cannot be read: it is a pipe or a device");
	assert_int_equal(unlink(json), 0);
	assert_int_equal(symlink("/dev/zero", json), 0);
	refused(400, "MANIFEST.json cannot be read: it is a pipe or a device");
	assert_int_equal(unlink(json), 0);
	assert_int_equal(file_write_atomic(json, SLICE(manifest), 0644), 0);
	assert_int_equal(mkfifo(yaml, 0644), 0);
	refused(400, "c.yaml cannot be read: it is a pipe or a device");
	assert_int_equal(file_remove_tree(source), 0);
}

static void odd_archives_are_refused(void **state)
{
	static const struct entry behind[] = { { .name = "a/b", .content = "x" },
					       { .name = "a", .content = "y" } };
	static const struct entry both[] = { { .name = "a", .content = "x" },
					     { .name = "a/b", .content = "y" } };
	static const struct entry bare = { .name = "h.py", .content = "x" };
	static const struct entry bad = { .name = "MAR-INF/MANIFEST.json", .content = "{oops" };
	static const struct entry ruby = { .name = "MAR-INF/MANIFEST.json",
					   .content = "{\"runtime\":\"ruby\"}" };

	(void)state;
	pack(false, behind, 2);
	refused(400, "also used as a folder");
	pack(false, both, 2);
	refused(400, "also used as a folder");
	pack(false, &bare, 1);
	refused(400, "Model name is not defined.");
	pack(false, &bad, 1);
	refused(400, "Failed to parse signature.json.");
	pack(false, &ruby, 1);
	refused(400, "Runtime is not defined or invalid.");
	assert_int_equal(file_write_atomic(source, SLICE("this is no archive"), 0644), 0);
	refused(400, "not a model archive");
	assert_int_equal(file_write_atomic(source, SLICE(""), 0644), 0);
	refused(400, "the archive is empty");
}

/* /proc/kmsg is one: who reads it waits for the kernel's next message. */
static void files_without_a_size_are_not_read(void **state)
{
	_cleanup_(freep) char *was = mem_strdup(source);

	(void)state;
	snprintf(source, sizeof(source), "/proc/self/stat");
	refused(400, "the archive is empty");
	snprintf(source, sizeof(source), "%s", was);
}

static void a_truncated_archive_leaves_nothing_behind(void **state)
{
	static const struct entry two[] = { { .name = "a", .content = "some content" },
					    { .name = "MAR-INF/MANIFEST.json",
					      .content = manifest } };
	struct buf whole = BUF_INIT(1 << 20);

	(void)state;
	pack(true, two, 2);
	assert_int_equal(file_read(source, &whole), 0);
	file_write_atomic(source, slice_make(whole.p, whole.n / 2), 0644);
	refused(400, "archive");
	buf_clear(&whole);
	pack(false, two, 2);
	assert_int_equal(file_read(source, &whole), 0);
	for (size_t n = 1; n < whole.n; n++) {
		file_write_atomic(source, slice_make(whole.p, n), 0644);
		refused(400, n < 4 ? "not a model archive" : "its end is missing");
	}
	buf_finish(&whole);
}

static void names_come_from_files(void **state)
{
	(void)state;
	assert_true(slice_eq(manifest_name_of(&region, SLICE("/a/b/noop-v1.0.mar")),
			     SLICE("noop_v1_0")));
	assert_true(slice_eq(manifest_name_of(&region, SLICE("x.tar.gz")), SLICE("x")));
	assert_true(slice_eq(manifest_name_of(&region, SLICE("_x y/")), SLICE("_x_y")));
}

static void manifests_survive_the_trip_to_the_front(void **state)
{
	struct archive_error err = { 0 };
	struct buf json = BUF_INIT(1 << 20);
	struct manifest m, again;

	(void)state;
	buf_init(&err.message, 4096);
	assert_int_equal(manifest_parse(&region, SLICE(manifest),
					SLICE("minWorkers: 0\nmaxBatchDelay: 7\nuseVenv: true\n"
					      "batchSize: many\ndeviceType: gpu\n"),
					SLICE("f.mar"), SLICE_NULL, &m, &err),
			 0);
	manifest_write_json(&m, &json);
	assert_int_equal(manifest_read_json(&region, buf_slice(&json), &again), 0);
	assert_int_equal(again.min_workers, 1);
	assert_int_equal(again.max_batch_delay_ms, 7);
	assert_int_equal(again.batch_size, -1);
	assert_true(again.use_venv && again.has_config);
	assert_true(slice_eq(again.device_type, SLICE("gpu")));
	assert_true(slice_eq(again.handler, SLICE("h.py")));
	assert_true(manifest_read_json(&region, SLICE("{}"), &again) < 0);
	buf_finish(&json);
	buf_finish(&err.message);
}

static void a_byte_order_mark_is_skipped(void **state)
{
	struct archive_error err = { .message = BUF_INIT(4096) };
	struct manifest m;

	(void)state;
	assert_int_equal(manifest_parse(&region,
					SLICE("\xef\xbb\xbf{\"model\": {\"handler\": \"h\"}}"),
					SLICE_NULL, SLICE("my-model.v2.mar"), SLICE_NULL, &m, &err),
			 0);
	assert_true(slice_eq(m.handler, SLICE("h")));
	/* The manifest names no model: its file does. */
	assert_true(slice_eq(m.model_name, SLICE("my_model_v2")));
	buf_finish(&err.message);
}

static void devices_and_processes_are_configured(void **state)
{
	struct archive_error err = { 0 };
	struct manifest m;

	(void)state;
	buf_init(&err.message, 4096);
	assert_int_equal(manifest_parse(&region, SLICE(manifest),
					SLICE("deviceType: tpu\ndeviceIds: [2, 0]\n"
					      "parallelType: pptp\nparallelLevel: 4\n"
					      "torchrun:\n  nproc-per-node: 2\n  nnodes: 3\n"
					      "  node-rank: 1\n  rdzv-endpoint: host:1\n"
					      "  OMP_NUMBER_THREADS: 0\n  max-restarts: 3\n"),
					SLICE("f.mar"), SLICE_NULL, &m, &err),
			 0);
	assert_false(m.device_type.n);
	assert_true(slice_eq(m.device_ids, SLICE("2,0")));
	assert_true(slice_eq(m.parallel_type, SLICE("pptp")));
	assert_int_equal(m.parallel_level, 2);
	assert_int_equal(m.torchrun_nodes, 3);
	assert_int_equal(m.torchrun_node_rank, 1);
	assert_int_equal(m.torchrun_threads, 1);
	assert_true(slice_eq(m.torchrun_endpoint, SLICE("host:1")));
	assert_int_equal(manifest_parse(&region, SLICE(manifest),
					SLICE("deviceIds: [0, x]\nparallelType: all\n"
					      "torchrun: yes\n"),
					SLICE("f.mar"), SLICE_NULL, &m, &err),
			 0);
	assert_false(m.device_ids.n || m.parallel_type.n);
	assert_int_equal(m.torchrun_nodes, -1);
	buf_finish(&err.message);
}

/* What Helm, Terraform and Jinja make of numbers and truth values. */
static void values_may_be_rendered_by_templates(void **state)
{
	struct archive_error err = { 0 };
	struct manifest m;

	(void)state;
	buf_init(&err.message, 4096);
	assert_int_equal(manifest_parse(&region, SLICE(manifest),
					SLICE("minWorkers: 1.0\nmaxWorkers: \"2\"\n"
					      "batchSize: \"4 \"\nmaxBatchDelay: 1e+06\n"
					      "responseTimeout: 1.5e+2\nstartupTimeout: 1.5\n"
					      "jobQueueSize: many\nuseJobTicket: \"true\"\n"
					      "deviceType: \"cpu \"\ndeviceIds: [0, 2.0, \"1\"]\n"
					      "batchMode: fixed\nlatency_goal_ms: \"80\"\n"),
					SLICE("f.mar"), SLICE_NULL, &m, &err),
			 0);
	assert_true(m.min_workers == 1 && m.max_workers == 2 && m.batch_size == 4);
	assert_true(m.max_batch_delay_ms == 1000000 && m.response_timeout_s == 150);
	assert_true(m.startup_timeout_s == -1 && m.job_queue_size == -1);
	assert_true(m.use_job_ticket && slice_eq(m.device_type, SLICE("cpu")));
	assert_true(slice_eq(m.device_ids, SLICE("0,2,1")));
	assert_true(slice_eq(m.batch_mode, SLICE("fixed")));
	assert_int_equal(m.latency_goal_ms, 80);
	buf_finish(&err.message);
}

static void what_is_written_can_be_read_and_is_reproducible(void **state)
{
	static const char *const formats[] = { "default", "zip-store", "tgz" };
	static const char *const endings[] = { "mar", "mar", "tar.gz" };
	_cleanup_(freep) char *handler = mem_printf("%s/h.py", dir);
	_cleanup_(freep) char *config = mem_printf("%s/c.yaml", dir);
	struct archive_spec spec = { .model_name = "m",
				     .version = "3",
				     .handler = handler,
				     .config_file = config,
				     .export_path = dir,
				     .force = true };

	(void)state;
	setenv("SOURCE_DATE_EPOCH", "1700000000", 1);
	file_write_atomic(handler, SLICE("def handle(data, context): return data\n"), 0644);
	file_write_atomic(config, SLICE("batchSize: 4\nmine: [1, yes]\n"), 0644);
	for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
		_cleanup_(freep) char *out = mem_printf("%s/m.%s", dir, endings[i]);
		struct buf why = BUF_INIT(4096), one = BUF_INIT(1 << 20), two = BUF_INIT(1 << 20);

		spec.format = formats[i];
		assert_int_equal(archive_write(&spec, &why), 0);
		assert_int_equal(file_read(out, &one), 0);
		assert_int_equal(archive_write(&spec, &why), 0);
		assert_int_equal(file_read(out, &two), 0);
		assert_true(slice_eq(buf_slice(&one), buf_slice(&two)));
		assert_int_equal(rename(out, source), 0);
		accepted("3", "h.py");
		buf_finish(&why);
		buf_finish(&one);
		buf_finish(&two);
	}
}

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(source, sizeof(source), "%s/in", dir);
	snprintf(target, sizeof(target), "%s/out", dir);
	region_init(&region);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	region_finish(&region);
	return file_remove_tree(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ordinary_archives_are_unpacked),
		cmocka_unit_test(nothing_leaves_the_target),
		cmocka_unit_test(sizes_and_counts_are_bounded),
		cmocka_unit_test(bombs_are_refused_by_their_ratio),
		cmocka_unit_test(of_two_with_one_name_the_later_stays),
		cmocka_unit_test(names_need_no_locale),
		cmocka_unit_test(what_is_no_file_in_a_folder_is_refused),
		cmocka_unit_test(a_byte_order_mark_is_skipped),
		cmocka_unit_test(odd_archives_are_refused),
		cmocka_unit_test(files_without_a_size_are_not_read),
		cmocka_unit_test(a_truncated_archive_leaves_nothing_behind),
		cmocka_unit_test(names_come_from_files),
		cmocka_unit_test(manifests_survive_the_trip_to_the_front),
		cmocka_unit_test(devices_and_processes_are_configured),
		cmocka_unit_test(values_may_be_rendered_by_templates),
		cmocka_unit_test(what_is_written_can_be_read_and_is_reproducible),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
