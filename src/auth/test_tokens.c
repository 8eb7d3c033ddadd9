/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "auth/tokens.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"

#define NOW (UINT64_C(1700000000) * NS_PER_S)

static char dir[] = "/tmp/sconce-tokens-XXXXXX";

/* The key of a section, read from the file as a client would. */
static char *key_of(const char *path, const char *section)
{
	_cleanup_(freep) char *head = mem_printf("\"%s\": {\n    \"key\": \"", section);
	struct buf b = BUF_INIT(4096);
	const char *at;
	char *header;

	assert_int_equal(file_read(path, &b), 0);
	at = strstr(buf_cstr(&b), head);
	assert_non_null(at);
	header = mem_printf("Bearer %.8s", at + strlen(head));
	buf_finish(&b);
	return header;
}

static struct tokens *make(char **ret_path)
{
	struct buf why = BUF_INIT(512);
	struct tokens *t;

	*ret_path = mem_printf("%s/key_file.json", dir);
	assert_int_equal(tokens_create(&t, uv_default_loop(), *ret_path, 60 * NS_PER_S, NOW, &why),
			 0);
	return t;
}

static void the_file_is_private_and_readable_by_clients(void **state)
{
	_cleanup_(freep) char *path = NULL, *key = NULL;
	struct tokens *t = make(&path);
	struct stat st;

	(void)state;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	key = key_of(path, "inference");
	assert_true(tokens_check(t, TOKEN_INFERENCE, slice_str(key), NOW));
	assert_false(tokens_check(t, TOKEN_MANAGEMENT, slice_str(key), NOW));
	tokens_destroy(t, true);
	assert_int_equal(stat(path, &st), -1);
}

static void keys_expire_but_not_the_api_key(void **state)
{
	_cleanup_(freep) char *path = NULL, *key = NULL, *api = NULL;
	struct tokens *t = make(&path);

	(void)state;
	key = key_of(path, "management");
	api = key_of(path, "API");
	assert_true(tokens_check(t, TOKEN_MANAGEMENT, slice_str(key), NOW + 59 * NS_PER_S));
	assert_int_equal(tokens_judge(t, TOKEN_MANAGEMENT, slice_str(key), NOW + 60 * NS_PER_S),
			 TOKEN_EXPIRED);
	assert_true(tokens_check(t, TOKEN_API, slice_str(api), NOW + 1000000 * NS_PER_S));
	tokens_destroy(t, true);
}

static void renewed(void *arg, int r)
{
	*(int *)arg = r;
}

static void renewing_invalidates_the_old_key(void **state)
{
	_cleanup_(freep) char *path = NULL, *old = NULL, *fresh = NULL;
	struct tokens *t = make(&path);
	int r = 1;

	(void)state;
	old = key_of(path, "inference");
	tokens_renew(t, TOKEN_INFERENCE, NOW, renewed, &r);
	assert_int_equal(r, 1);
	assert_true(
		tokens_check(t, TOKEN_INFERENCE, slice_str(old), NOW)); /* until it is written */
	uv_run(uv_default_loop(), UV_RUN_DEFAULT);
	assert_int_equal(r, 0);
	fresh = key_of(path, "inference");
	assert_string_not_equal(old, fresh);
	assert_false(tokens_check(t, TOKEN_INFERENCE, slice_str(old), NOW));
	assert_true(tokens_check(t, TOKEN_INFERENCE, slice_str(fresh), NOW));
	tokens_destroy(t, true);
}

static void renewals_at_once_keep_each_other(void **state)
{
	_cleanup_(freep) char *path = NULL, *inference = NULL, *management = NULL;
	struct tokens *t = make(&path);
	int r[4] = { 1, 1, 1, 1 };

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(r); i++)
		tokens_renew(t, i % 2 ? TOKEN_MANAGEMENT : TOKEN_INFERENCE, NOW, renewed, &r[i]);
	uv_run(uv_default_loop(), UV_RUN_DEFAULT);
	for (unsigned i = 0; i < ARRAY_LEN(r); i++)
		assert_int_equal(r[i], 0);
	inference = key_of(path, "inference");
	management = key_of(path, "management");
	assert_true(tokens_check(t, TOKEN_INFERENCE, slice_str(inference), NOW));
	assert_true(tokens_check(t, TOKEN_MANAGEMENT, slice_str(management), NOW));
	tokens_destroy(t, true);
}

static void a_key_that_cannot_be_written_changes_nothing(void **state)
{
	_cleanup_(freep) char *path = NULL, *old = NULL, *moved = NULL;
	struct tokens *t = make(&path);
	int r = 1;

	(void)state;
	old = key_of(path, "inference");
	moved = mem_printf("%s.moved", dir);
	assert_int_equal(rename(dir, moved), 0);
	tokens_renew(t, TOKEN_INFERENCE, NOW, renewed, &r);
	uv_run(uv_default_loop(), UV_RUN_DEFAULT);
	assert_int_equal(rename(moved, dir), 0);
	assert_int_equal(r, -ENOENT);
	assert_true(tokens_check(t, TOKEN_INFERENCE, slice_str(old), NOW));
	tokens_destroy(t, true);
}

static void only_bearer_headers_count(void **state)
{
	_cleanup_(freep) char *path = NULL, *key = NULL, *basic = NULL, *longer = NULL;
	struct tokens *t = make(&path);

	(void)state;
	key = key_of(path, "inference");
	basic = mem_printf("Basic %s", key + 7);
	longer = mem_printf("%sx", key);
	assert_int_equal(tokens_judge(t, TOKEN_INFERENCE, SLICE_NULL, NOW), TOKEN_MISSING);
	assert_int_equal(tokens_judge(t, TOKEN_INFERENCE, SLICE(" "), NOW), TOKEN_MISSING);
	assert_int_equal(tokens_judge(t, TOKEN_INFERENCE, SLICE("Bearer"), NOW), TOKEN_MALFORMED);
	assert_int_equal(tokens_judge(t, TOKEN_INFERENCE, slice_str(key + 7), NOW),
			 TOKEN_MALFORMED);
	assert_int_equal(tokens_judge(t, TOKEN_INFERENCE, slice_str(basic), NOW), TOKEN_MALFORMED);
	assert_int_equal(tokens_judge(t, TOKEN_INFERENCE, SLICE("Bearer two words"), NOW),
			 TOKEN_MALFORMED);
	assert_int_equal(tokens_judge(t, TOKEN_INFERENCE, slice_str(longer), NOW), TOKEN_WRONG);
	assert_int_equal(tokens_judge(t, TOKEN_INFERENCE, SLICE("Bearer ~~~~~~~~"), NOW),
			 TOKEN_WRONG);
	assert_int_equal(tokens_judge(t, TOKEN_MANAGEMENT, slice_str(key), NOW), TOKEN_OTHER);
	memcpy(key, "bearer", 6);
	assert_int_equal(tokens_judge(t, TOKEN_INFERENCE, slice_str(key), NOW), TOKEN_MALFORMED);
	tokens_destroy(t, true);
}

static void an_unwritable_folder_is_said_so(void **state)
{
	struct buf why = BUF_INIT(512);
	struct tokens *t;

	(void)state;
	assert_true(tokens_create(&t, uv_default_loop(), "/nonexistent/key_file.json", 1, NOW,
				  &why) < 0);
	assert_non_null(strstr(buf_cstr(&why), "--disable-token-auth"));
	buf_finish(&why);
}

/* ---- keys that are given ---- */

#define LONG "0123456789abcdef"

/* `why` is a static text. NULL: the file is refused. */
static struct tokens *given(const char *text, const char **why)
{
	static char kept[512];
	_cleanup_(freep) char *path = mem_printf("%s/given.json", dir);
	_cleanup_(buf_finish) struct buf b = BUF_INIT(512);
	struct tokens *t = NULL;

	assert_int_equal(file_write_atomic(path, slice_str(text), 0400), 0);
	if (tokens_create_given(&t, uv_default_loop(), path, &b) < 0) {
		snprintf(kept, sizeof(kept), "%s", buf_cstr(&b));
		*why = kept;
		return NULL;
	}
	return t;
}

static void given_keys_are_taken_and_stay(void **state)
{
	_cleanup_(freep) char *path = mem_printf("%s/given.json", dir);
	const char *why = "";
	struct tokens *t = given("{\"inference\": {\"key\": \"" LONG "-i\"}, \"management\": "
				 "{\"key\": \"" LONG "-longer\"}}",
				 &why);
	struct stat st;

	(void)state;
	assert_string_equal(why, "");
	assert_true(tokens_given(t));
	assert_true(tokens_check(t, TOKEN_INFERENCE, SLICE("Bearer " LONG "-i"), NOW * 1000));
	assert_true(tokens_check(t, TOKEN_MANAGEMENT, SLICE("Bearer " LONG "-longer"), NOW));
	assert_int_equal(tokens_judge(t, TOKEN_MANAGEMENT, SLICE("Bearer " LONG "-i"), NOW),
			 TOKEN_OTHER);
	assert_int_equal(tokens_judge(t, TOKEN_INFERENCE, SLICE("Bearer " LONG "-j"), NOW),
			 TOKEN_WRONG);
	assert_int_equal(tokens_judge(t, TOKEN_INFERENCE, SLICE("Bearer " LONG), NOW),
			 TOKEN_WRONG);
	assert_string_equal(tokens_file_name(t), "given.json");
	tokens_destroy(t, true);
	assert_int_equal(stat(path, &st), 0);
}

static void given_keys_that_will_not_do(void **state)
{
	static const struct {
		const char *text, *why;
	} all[] = {
		{ "", "no JSON object" },
		{ "[]", "no JSON object" },
		{ "{}", "\"management\" is not there" },
		{ "{\"management\": {\"key\": 1}}", "\"management\" is not there" },
		{ "{\"management\": {\"key\": \"short\"}}", "has 5 characters; 16 to 256" },
		{ "{\"management\": {\"key\": \"0123456789 abcdef\"}}", "has a blank" },
		{ "{\"management\": {\"key\": \"0123456789\\u00e9abcdef\"}}", "not ASCII" },
		{ "{\"management\": {\"key\": \"" LONG "\", \"expiration time\": \"x\"}}",
		  "has an expiration time" },
		{ "{\"management\": {\"key\": \"" LONG "\"}}", "\"inference\" is not there" },
		{ "{\"management\": {\"key\": \"" LONG "\"}, \"inference\": {\"key\": \"" LONG
		  "\"}}",
		  "have the same key" },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(all); i++) {
		const char *why = "it was taken";

		assert_null(given(all[i].text, &why));
		if (!strstr(why, all[i].why) || strstr(why, LONG))
			fail_msg("%s: %s", all[i].text, why);
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
		cmocka_unit_test(the_file_is_private_and_readable_by_clients),
		cmocka_unit_test(keys_expire_but_not_the_api_key),
		cmocka_unit_test(renewing_invalidates_the_old_key),
		cmocka_unit_test(renewals_at_once_keep_each_other),
		cmocka_unit_test(a_key_that_cannot_be_written_changes_nothing),
		cmocka_unit_test(only_bearer_headers_count),
		cmocka_unit_test(an_unwritable_folder_is_said_so),
		cmocka_unit_test(given_keys_are_taken_and_stay),
		cmocka_unit_test(given_keys_that_will_not_do),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
