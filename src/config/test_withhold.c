/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "config/settings.h"

/* What snapshots bring back, what not, and what is said of where settings come from. */

struct fixture {
	struct settings s;
	struct buf why;
	char folder[40];
	char *snapshot, *file;
};

static int setup(void **state)
{
	struct fixture *f = mem_new(struct fixture);

	settings_init(&f->s);
	buf_init(&f->why, 65536);
	memcpy(f->folder, "/tmp/test_withhold.XXXXXX", 26);
	if (!mkdtemp(f->folder))
		return -1;
	f->snapshot = mem_printf("%s/old.cfg", f->folder);
	f->file = mem_printf("%s/own.properties", f->folder);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	settings_finish(&f->s);
	buf_finish(&f->why);
	file_remove_tree(f->folder);
	free(f->snapshot);
	free(f->file);
	free(f);
	return 0;
}

static void restore(struct fixture *f, const char *text)
{
	assert_int_equal(file_write_atomic(f->snapshot, slice_str(text), 0600), 0);
	assert_int_equal(settings_load_snapshot(&f->s, f->snapshot, &f->why), 0);
}

static void load(struct fixture *f, const char *text)
{
	assert_int_equal(file_write_atomic(f->file, slice_str(text), 0600), 0);
	assert_int_equal(settings_load_file(&f->s, f->file, &f->why), 0);
}

/* With `%` in it for the folder. */
static void expect(struct buf *got, const struct fixture *f, const char *want)
{
	_cleanup_(buf_finish) struct buf b = BUF_INIT(65536);

	for (; *want; want++)
		if (*want == '%')
			buf_puts(&b, f->folder);
		else
			buf_putc(&b, *want);
	assert_string_equal(buf_cstr(got), buf_cstr(&b));
	buf_clear(got);
}

static void what_opened_an_earlier_run_does_not_open_this_one(void **state)
{
	struct fixture *f = *state;

	restore(f, "disable_token_authorization=true\n"
		   "token_expiration_min=100000\n"
		   "enable_model_api=TRUE\n"
		   "cors_allowed_origin=*\n"
		   "install_py_dep_per_model=true\n"
		   "inference_address=http://0.0.0.0:8080\n"
		   "management_address=http://127.evil.example:8081\n"
		   "job_queue_size=7\n");
	assert_false(f->s.disable_token_authorization);
	assert_false(f->s.enable_model_api);
	assert_false(f->s.install_py_dep_per_model);
	assert_null(f->s.cors_allowed_origin);
	assert_string_equal(f->s.inference_address, "http://127.0.0.1:8080");
	assert_string_equal(f->s.management_address, "http://127.0.0.1:8081");
	assert_int_equal(f->s.job_queue_size, 7);
	/* Given again, it is no news. */
	settings_set(&f->s, SLICE("enable_model_api"), SLICE("true"), "--enable-model-api",
		     &f->why);
	buf_clear(&f->why);
	settings_warn_withheld(&f->s, &f->why);
#define NOT_RESTORED                                                                               \
	" is not restored from a snapshot; if it is still meant, give it again (a flag, "          \
	"config.properties, SCONCE_...)\n"
	expect(&f->why, f,
	       "warning: %/old.cfg:6: inference_address=http://0.0.0.0:8080" NOT_RESTORED
	       "warning: %/old.cfg:7: management_address=http://127.evil.example:8081" NOT_RESTORED
	       "warning: %/old.cfg:5: install_py_dep_per_model=true" NOT_RESTORED
	       "warning: %/old.cfg:1: disable_token_authorization=true" NOT_RESTORED
	       "warning: %/old.cfg:2: token_expiration_min=100000" NOT_RESTORED
	       "warning: %/old.cfg:4: cors_allowed_origin=*" NOT_RESTORED);
}

static void what_narrows_comes_back_and_what_is_as_by_default_is_no_news(void **state)
{
	struct fixture *f = *state;

	restore(f, "allowed_urls=file:///models/.*\n"
		   "blacklist_env_vars=SECRET.*\n"
		   "disable_token_authorization=false\n"
		   "cors_allowed_origin=\n"
		   "token_expiration_min=60.0\n"
		   "inference_address=http://localhost:9080\n"
		   "management_address=unix:/run/m\n"
		   "metrics_address=http://127.0.0.2\n");
	assert_string_equal(f->s.allowed_urls, "file:///models/.*");
	assert_string_equal(f->s.blacklist_env_vars, "SECRET.*");
	assert_string_equal(f->s.inference_address, "http://localhost:9080");
	assert_string_equal(f->s.management_address, "unix:/run/m");
	assert_string_equal(f->s.metrics_address, "http://127.0.0.2");
	settings_warn_withheld(&f->s, &f->why);
	expect(&f->why, f, "");
}

static void a_file_wins_but_not_with_its_models(void **state)
{
	struct fixture *f = *state;

	restore(f, "job_queue_size=50\nmax_headers=9\nmodel_snapshot={}\n");
	load(f, "job_queue_size=77\nmodel_snapshot={\"models\": 1}\n");
	assert_int_equal(f->s.job_queue_size, 77);
	assert_int_equal(f->s.max_headers, 9);
	assert_string_equal(f->s.model_snapshot, "{}");
	assert_string_equal(f->s.snapshot_file, f->snapshot);
	assert_string_equal(f->s.config_file, f->file);
	expect(&f->why, f,
	       "warning: %/own.properties:2: model_snapshot is not used: the models are those of "
	       "%/old.cfg\n");
}

static void what_comes_from_where_is_said(void **state)
{
	struct fixture *f = *state;
	static char name[] = "SCONCE_MAX_HEADERS=9";
	char *environment[] = { name, NULL };
	_cleanup_(buf_finish) struct buf out = BUF_INIT(65536);

	restore(f, "model_store=/store\nload_models=all\nkeystore_pass=hunter2\n");
	load(f, "job_queue_size=77\ncors_allowed_origin=a\\nb\n");
	settings_load_environment(&f->s, environment, &f->why);
	settings_set(&f->s, SLICE("retry"), SLICE("false"), "--retry", &f->why);
	settings_write_sources(&f->s, &out);
	expect(&out, f,
	       "Settings from %/old.cfg: model_store=/store, load_models=all, "
	       "keystore_pass=(hidden)\n"
	       "Settings from %/own.properties: job_queue_size=77, cors_allowed_origin=a?b\n"
	       "Settings from the command line: retry=false\n"
	       "Settings from the environment: max_headers=9\n");
	assert_int_equal(settings_check(&f->s, &f->why), 0);
	settings_write_effective(&f->s, &out);
#define ROW(key, rest) "\n" key rest
	assert_non_null(strstr(buf_cstr(&out),
			       ROW("job_queue_size                             ", "77  (")));
	assert_non_null(strstr(buf_cstr(&out), ROW("workflow_store                             ",
						   "/store  (derived)\n")));
	assert_non_null(strstr(buf_cstr(&out), ROW("default_workers_per_model                  ",
						   "0  (default)\n")));
	assert_non_null(strstr(buf_cstr(&out), ROW("retry                                      ",
						   "false  (--retry)\n")));
	assert_non_null(strstr(buf_cstr(&out), "(hidden)  ("));
	assert_null(strstr(buf_cstr(&out), "hunter2"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_opened_an_earlier_run_does_not_open_this_one),
		TEST(what_narrows_comes_back_and_what_is_as_by_default_is_no_news),
		TEST(a_file_wins_but_not_with_its_models),
		TEST(what_comes_from_where_is_said),
	};

	return cmocka_run_group_tests_name("withhold", tests, NULL, NULL);
}
