/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "fleet/sources.h"

static char store_dir[] = "/tmp/sconce-sources-XXXXXX";
static char all_urls[] = "file://.*|http(s)?://.*";
static struct settings settings = { .allowed_urls = all_urls };

static void touch(const char *name)
{
	_cleanup_(freep) char *path = mem_printf("%s/%s", store_dir, name);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fclose(f);
}

static int set_up(void **state)
{
	_cleanup_(freep) char *dir = NULL;

	(void)state;
	assert_non_null(mkdtemp(store_dir));
	settings.model_store = store_dir;
	touch("b.mar");
	touch("a.tar.gz");
	touch("notes.txt");
	touch(".hidden.mar");
	dir = mem_printf("%s/folder", store_dir);
	return mkdir(dir, 0755);
}

static int tear_down(void **state)
{
	(void)state;
	return file_remove_tree(store_dir);
}

static void refused(const char *url, int status, const char *message)
{
	struct source s;

	source_resolve(&settings, url, "/downloads", &s);
	assert_null(s.path);
	assert_int_equal(s.status, status);
	assert_string_equal(s.message, message);
	source_finish(&s);
}

static void finds_names_in_the_store(void **state)
{
	struct source s;

	(void)state;
	source_resolve(&settings, "b.mar", "/downloads", &s);
	assert_non_null(s.path);
	assert_true(slice_ends(slice_str(s.path), SLICE("/b.mar")));
	source_finish(&s);
	refused("c.mar", 404, "Model not found at: c.mar");
	refused("foldr", 404, "Model not found at: foldr. Did you mean 'folder'?");
	refused("a/b.tgz", 404, "Model not found at: a/b.tgz. Did you mean 'b.mar'?");
	refused("b", 404, "Model not found at: b. Did you mean 'b.mar'?");
}

static void the_last_word_of_a_path_counts(void **state)
{
	static const char *const paths[] = { "sub/b.mar", "/another/machine/b.mar" };
	struct source s;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		source_resolve(&settings, paths[i], "/downloads", &s);
		assert_non_null(s.path);
		assert_true(slice_ends(slice_str(s.path), SLICE("/b.mar")));
		source_finish(&s);
	}
	refused("/another/machine/", 404, "Model not found at: /another/machine/");
	refused("file:///another/b.mar", 400,
		"Failed to download archive from: file:///another/b.mar. The server's machine has "
		"no such file, or it cannot be read there");
}

static void refuses_what_leaves_the_store(void **state)
{
	(void)state;
	refused("", 404, "empty url");
	refused("../b.mar", 404, "Relative path is not allowed in url: ../b.mar");
	refused("/etc/hostname", 404, "Model not found at: /etc/hostname");
	refused("ftp://host/b.mar", 404, "Model not found at: ftp://host/b.mar");
}

static void without_a_store_it_says_so(void **state)
{
	char *store = settings.model_store;

	(void)state;
	settings.model_store = NULL;
	refused("b.mar", 404, "Model not found at: b.mar. The server has no model_store.");
	refused("ftp://host/b.mar", 404, "Model not found at: ftp://host/b.mar");
	settings.model_store = store;
}

/* As TorchServe says it: nothing about the path of what is no URL. */
static void refuses_what_is_no_url(void **state)
{
	static const char *const bad[] = { "http://localhost:aaaa", "http://localhost:65536/b.mar",
					   "http://[::1]:x/b.mar", "http://a:b@host:-1/b.mar" };
	static const char *const good[] = { "http://localhost:80/c.mar", "http://[::1]/c.mar",
					    "http://a:b@host:/c.mar", "http://host/c.mar?a=:x" };
	struct source s;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		_cleanup_(freep) char *want = mem_printf(
			"Failed to download archive from: %s. Its port is no number up to 65535",
			bad[i]);

		refused(bad[i], 400, want);
	}
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		source_resolve(&settings, good[i], "/downloads", &s);
		assert_non_null(s.download);
		source_finish(&s);
	}
}

static void honours_allowed_urls(void **state)
{
	_cleanup_(freep) char *url = mem_printf("file://%s/b.mar", store_dir);
	static char files[] = "file://.*", only_https[] = "https://models\\.example/.*";
	struct source s;

	(void)state;
	settings.allowed_urls = files;
	source_resolve(&settings, url, "/downloads", &s);
	assert_non_null(s.path);
	source_finish(&s);
	settings.allowed_urls = only_https;
	source_resolve(&settings, "https://models.example/x/a.mar?b/c.mar", "/downloads", &s);
	assert_null(s.path);
	assert_true(slice_ends(slice_str(s.download), SLICE("/a.mar")));
	source_finish(&s);
	refused("file:///etc/x.mar", 404,
		"Given URL file:///etc/x.mar does not match any allowed URL(s)");
	refused("https://models.example.evil/x.mar", 404,
		"Given URL https://models.example.evil/x.mar does not match any allowed URL(s)");
	settings.allowed_urls = all_urls;
}

static void a_download_claims_its_name(void **state)
{
	_cleanup_(freep) char *folder = mem_printf("%s/downloads", store_dir);
	struct settings without = { .allowed_urls = all_urls };
	struct source s;

	(void)state;
	source_resolve(&settings, "http://models.example/b.mar", "/downloads", &s);
	source_claim(&s, false);
	assert_true(!s.path && !s.download && s.status == 500);
	assert_string_equal(s.type, "InternalServerException");
	assert_string_equal(s.message, "Model file already exists b.mar");
	source_finish(&s);
	source_resolve(&settings, "http://models.example/b.mar", "/downloads", &s);
	source_claim(&s, true);
	assert_true(s.path && !s.download && slice_ends(slice_str(s.path), SLICE("/b.mar")));
	source_finish(&s);
	source_resolve(&without, "http://models.example/b.mar", folder, &s);
	source_claim(&s, false);
	assert_true(s.download && slice_starts(slice_str(s.download), slice_str(folder)));
	assert_int_equal(rmdir(folder), 0); /* it was made */
	source_finish(&s);
}

static void lists_archives_only(void **state)
{
	size_t n;
	char **all = source_list(&settings, &n);

	(void)state;
	assert_int_equal(n, 3);
	assert_string_equal(all[0], "a.tar.gz");
	assert_string_equal(all[1], "b.mar");
	assert_string_equal(all[2], "folder");
	for (size_t i = 0; i < n; i++)
		free(all[i]);
	free(all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_names_in_the_store),
		cmocka_unit_test(the_last_word_of_a_path_counts),
		cmocka_unit_test(refuses_what_leaves_the_store),
		cmocka_unit_test(without_a_store_it_says_so),
		cmocka_unit_test(refuses_what_is_no_url),
		cmocka_unit_test(honours_allowed_urls),
		cmocka_unit_test(a_download_claims_its_name),
		cmocka_unit_test(lists_archives_only),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
