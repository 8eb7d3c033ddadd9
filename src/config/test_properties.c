/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>

#include "config/properties.h"

/* Every pair as "line:key=value;", every error as "line!reason;". */
static char *read_all(struct slice text)
{
	_cleanup_(properties_finish) struct properties p;
	_cleanup_(buf_finish) struct buf why = BUF_INIT(4096);
	struct buf out = BUF_INIT(4 << 20);
	struct property e;
	int r;

	properties_init(&p, text);
	while ((r = properties_next(&p, &e, &why))) {
		if (r > 0)
			buf_printf(&out, "%u:%.*s=%.*s;", e.line, SLICE_ARG(e.key),
				   SLICE_ARG(e.value));
		else
			buf_printf(&out, "%u!%s;", e.line, buf_cstr(&why));
		buf_clear(&why);
	}
	return buf_steal(&out);
}

static void expect(const char *text, const char *want)
{
	_cleanup_(freep) char *got = read_all(slice_str(text));

	assert_string_equal(got, want);
}

static void test_separators(void **state)
{
	(void)state;
	expect("a=1\nb: 2\nc 3\n d\t=\t4 \n=5\ne\nf=\ng==:\n",
	       "1:a=1;2:b=2;3:c=3;4:d=4 ;5:=5;6:e=;7:f=;8:g==:;");
	expect("a=1\r\nb=2\rc=3", "1:a=1;2:b=2;3:c=3;");
	expect("\xef\xbb\xbf"
	       "a=1",
	       "1:a=1;");
	expect("", "");
	expect("inference_address=http://0.0.0.0:8080", "1:inference_address=http://0.0.0.0:8080;");
}

static void test_comments_and_continuations(void **state)
{
	(void)state;
	expect("# a=1\n  ! b=2\n\n \t\nc=#3\n", "5:c=#3;");
	expect("models={\\\n  \"m\": {\\\n    \"1.0\": {}}}\nx=1",
	       "1:models={\"m\": {\"1.0\": {}}};4:x=1;");
	expect("a=1\\\\\nb=2", "1:a=1\\;2:b=2;");
	expect("a=1\\\r\n   # not a comment\nb=2", "1:a=1# not a comment;3:b=2;");
	expect("# comments do not go on \\\na=1", "2:a=1;");
	expect("a=1\\", "1:a=1;");
	expect("a=1\\\n", "1:a=1;");
	expect("a\\\n=1", "1:a=1;");
}

static void test_escapes(void **state)
{
	(void)state;
	expect("a\\:b\\=c\\ d=e\\:\\=\\t\\q", "1:a:b=c d=e:=\tq;");
	expect("a=\\u00e9\\u20ac\\uD83D\\uDE00", "1:a=\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80;");
	expect("a=\\ud83dx\\ude00\\ud83d\\u0041", "1:a=\xef\xbf\xbdx\xef\xbf\xbd\xef\xbf\xbd"
						  "A;");
	expect("a=\\u12\nb=\\u12xz\n\\u000=1\nc=\\u0000\nd=1",
	       "1!\\u must be followed by four hexadecimal digits;"
	       "2!\\u must be followed by four hexadecimal digits;"
	       "3!\\u must be followed by four hexadecimal digits;4!\\u0000 is not allowed;5:d=1;");
}

static void test_zero_bytes(void **state)
{
	_cleanup_(freep) char *got = read_all(SLICE("a=1\0002\nb=2"));

	(void)state;
	assert_string_equal(got, "1!a zero byte is not allowed;2:b=2;");
}

static void test_too_long_a_line(void **state)
{
	size_t n = PROPERTIES_TEXT_MAX + 100;
	_cleanup_(freep) char *text = malloc(n);
	_cleanup_(freep) char *got = NULL;

	(void)state;
	memset(text, 'a', n);
	memcpy(text + n - 4, "\nb=1", 4);
	got = read_all(slice_make(text, n));
	assert_string_equal(got, "1!longer than 1048576 bytes;2:b=1;");
}

static void test_expand(void **state)
{
	char *environment[] = { (char[]){ "PORT=80" }, (char[]){ "PORTS=81" }, (char[]){ "EMPTY=" },
				(char[]){ "LOOP=$$LOOP$$" }, NULL };
	static const char *const cases[][2] = {
		{ "http://h:$$PORT$$", "http://h:80" },
		{ "$$PORT$$$$PORTS$$", "8081" },
		{ "$$EMPTY$$", "" },
		{ "$$LOOP$$", "$$LOOP$$" },
		{ "$PORT $$ $$$ $$$$ $$PORT$ cost$$", "$PORT $$ $$$ $$$$ $$PORT$ cost$$" },
		{ "", "" },
	};
	_cleanup_(buf_finish) struct buf out = BUF_INIT(100), why = BUF_INIT(100);

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		buf_clear(&out);
		assert_int_equal(properties_expand(slice_str(cases[i][0]), environment, &out, &why),
				 0);
		assert_string_equal(buf_cstr(&out), cases[i][1]);
	}
	assert_int_equal(properties_expand(SLICE("a$$POR$$"), environment, &out, &why), -EINVAL);
	assert_string_equal(buf_cstr(&why), "Invalid Environment Variable POR");
}

static void test_put_reads_back(void **state)
{
	static const char *const pairs[][2] = {
		{ "key", "value" },
		{ "a b:c=d#", "  two leading, one trailing " },
		{ "#x", "tab\tnewline\nreturn\rfeed\f" },
		{ "back\\slash", "C:\\dir\\" },
		{ "models", "{\"m\": {\"1.0\": {\"marName\": \"m.mar\"}}}" },
		{ "\xef\xbb\xbfmark", "not dropped" },
		{ "caf\xc3\xa9", "\xe2\x82\xac" },
		{ "face", "\xf0\x9f\x98\x80 \xf4\x8f\xbf\xbf" },
		{ "not UTF-8", "\xff \xc3 \xc0\xaf \xed\xa0\x80 \xf4\x90\x80\x80 \xe2\x82" },
	};
	_cleanup_(buf_finish) struct buf out = BUF_INIT(10000), want = BUF_INIT(10000);
	_cleanup_(freep) char *got = NULL;

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(pairs); i++) {
		properties_put(&out, slice_str(pairs[i][0]), slice_str(pairs[i][1]));
		buf_printf(&want, "%u:%s=%s;", i + 1, pairs[i][0], pairs[i][1]);
	}
	got = read_all(buf_slice(&out));
	assert_string_equal(got, buf_cstr(&want));
	buf_clear(&out);
	properties_put(&out, SLICE("\xef\xbb\xbfx"), SLICE("1"));
	free(TAKE(got));
	got = read_all(buf_slice(&out));
	assert_string_equal(got, "1:\xef\xbb\xbfx=1;");
	/* What is not UTF-8 comes back as it was. */
	buf_clear(&out);
	properties_put(&out, SLICE("k"), SLICE("\xf8\x90\x80\x80\xff\xe9\xc0\x80"));
	free(TAKE(got));
	got = read_all(buf_slice(&out));
	assert_string_equal(got, "1:k=\xf8\x90\x80\x80\xff\xe9\xc0\x80;");
}

/* Java takes the bytes of a file for Latin-1. */
static void test_put_is_ascii(void **state)
{
	_cleanup_(buf_finish) struct buf out = BUF_INIT(1000);

	(void)state;
	properties_put(&out, SLICE("caf\xc3\xa9"), SLICE("\xe2\x82\xac\xf0\x9f\x98\x80"));
	assert_string_equal(buf_cstr(&out), "caf\\u00e9=\\u20ac\\ud83d\\ude00\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_separators),
		cmocka_unit_test(test_comments_and_continuations),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_zero_bytes),
		cmocka_unit_test(test_too_long_a_line),
		cmocka_unit_test(test_expand),
		cmocka_unit_test(test_put_reads_back),
		cmocka_unit_test(test_put_is_ascii),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
