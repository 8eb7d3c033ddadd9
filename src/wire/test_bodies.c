/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/util.h"
#include "wire/form.h"
#include "wire/http.h"
#include "wire/json.h"
#include "wire/multipart.h"

static struct region region;

static int parse(const char *body, struct multipart_part *parts, unsigned max, unsigned *n)
{
	return multipart_parse(&region, slice_str(body), SLICE("XX"), parts, max, n);
}

static void multipart_finds_its_parts(void **state)
{
	struct multipart_part p[4];
	unsigned n;

	(void)state;
	assert_int_equal(
		parse("preamble\r\n--XX\r\n"
		      "Content-Disposition: form-data; name=\"a b\"\r\n\r\none\r\n"
		      "--XX  \r\ncontent-type: image/jpeg; q=1\r\n"
		      "Content-Disposition: form-data; name=f; filename=\"x;y.jpg\"\r\n\r\n"
		      "two\r\n--X\r\nnot a boundary\r\n"
		      "--XX\r\nContent-Disposition: form-data; name=\"\"\r\n\r\n\r\n"
		      "--XX--\r\nepilogue",
		      p, 4, &n),
		0);
	assert_int_equal(n, 3);
	assert_true(slice_eq(p[0].name, SLICE("a b")) && slice_eq(p[0].content, SLICE("one")));
	assert_false(p[0].file);
	assert_int_equal(p[0].type.n, 0);
	assert_true(p[1].file && slice_eq(p[1].type, SLICE("image/jpeg")));
	assert_true(slice_eq(p[1].content, SLICE("two\r\n--X\r\nnot a boundary")));
	assert_true(p[2].name.n == 0 && p[2].content.n == 0);
}

static void malformed_multipart_is_refused(void **state)
{
	static const char *const bodies[] = {
		"",
		"--XX",
		"no boundary",
		"--XX\r\n",
		"--XX\r\nContent-Disposition: form-data; name=a\r\n",
		"--XX\r\nContent-Disposition: form-data; name=a\r\n\r\nx",
		"--XX\r\nContent-Type: a/b\r\n\r\nx\r\n--XX--",
		"--XX\r\nno colon\r\n\r\nx\r\n--XX--",
		"--XXjunk\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n--XX--",
	};
	struct multipart_part p[4];
	unsigned n;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bodies); i++)
		assert_int_equal(parse(bodies[i], p, 4, &n), -EBADMSG);
	assert_int_equal(parse("--XX\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n"
			       "--XX\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n--XX--",
			       p, 1, &n),
			 MULTIPART_TOO_MANY);
}

/* Many parts whose heads are full of `filler`: what is kept of them is no longer than they are. */
static void many_parameters(struct slice filler)
{
	static struct multipart_part p[400];
	struct buf body = BUF_INIT((size_t)8 << 20);
	size_t before = region.used;
	unsigned n;

	for (unsigned i = 0; i < ARRAY_LEN(p); i++) {
		buf_puts(&body, "--XX\r\nContent-Disposition: form-data; ");
		for (size_t k = 0; k + filler.n < 8000; k += filler.n)
			buf_put_slice(&body, filler);
		buf_puts(&body, " ; name=\"a\\\"b\"\r\n\r\nx\r\n");
	}
	buf_puts(&body, "--XX--");
	assert_int_equal(
		multipart_parse(&region, buf_slice(&body), SLICE("XX"), p, ARRAY_LEN(p), &n), 0);
	assert_int_equal(n, ARRAY_LEN(p));
	for (unsigned i = 0; i < n; i++)
		assert_true(slice_eq(p[i].name, SLICE("a\"b")) && !p[i].file);
	assert_true(region.used - before < 65536);
	buf_finish(&body);
}

static void parameters_cost_no_memory(void **state)
{
	(void)state;
	many_parameters(SLICE("x=\"\";"));
	many_parameters(SLICE("x=\"\\\\\";"));
	many_parameters(SLICE("names=\"a\" ;"));
	many_parameters(SLICE(";"));
}

/* A body may be full of what would be its boundary, if it began a line. */
static void near_boundaries_cost_no_time(void **state)
{
	const size_t n = (size_t)4 << 20;
	char *body = mem_alloc(n), boundary[256];
	uint64_t began_ns = clock_now_ns();
	struct multipart_part p[1];
	unsigned found;

	(void)state;
	memset(body, '-', n);
	memset(boundary, '-', sizeof(boundary));
	body[0] = 'x';
	assert_int_equal(multipart_parse(&region, slice_make(body, n),
					 slice_make(boundary, sizeof(boundary)), p, 1, &found),
			 -EBADMSG);
	assert_true(clock_now_ns() - began_ns < NS_PER_S);
	free(body);
}

static int form(const char *text, struct form_field *f, unsigned max, unsigned *n, char *copy)
{
	memcpy(copy, text, strlen(text));
	return form_parse_in_place(copy, strlen(text), f, max, n);
}

static void forms_are_decoded_where_they_lie(void **state)
{
	struct form_field f[4];
	char copy[256];
	unsigned n;

	(void)state;
	assert_int_equal(form("a=1&b+c=%41%2b&&=x&d=\r\n", f, 4, &n, copy), 0);
	assert_int_equal(n, 4);
	assert_true(slice_eq(f[0].name, SLICE("a")) && slice_eq(f[0].value, SLICE("1")));
	assert_true(slice_eq(f[1].name, SLICE("b c")) && slice_eq(f[1].value, SLICE("A+")));
	assert_true(f[2].name.n == 0 && slice_eq(f[2].value, SLICE("x")));
	assert_true(slice_eq(f[3].name, SLICE("d")) && f[3].value.n == 0);
	assert_int_equal(form("a=1\n&b&c", f, 4, &n, copy), 0);
	assert_int_equal(n, 2);
	assert_true(slice_eq(f[0].value, SLICE("1\n")));
	assert_true(slice_eq(f[1].name, SLICE("b")) && f[1].value.n == 0);
	assert_int_equal(form("{\"a\":\"b\"}\n", f, 4, &n, copy), 0);
	assert_int_equal(n, 0);
	assert_int_equal(form("a=%4", f, 4, &n, copy), -EBADMSG);
	assert_int_equal(form("a=%zz", f, 4, &n, copy), -EBADMSG);
	assert_int_equal(form("a=%", f, 4, &n, copy), -EBADMSG);
	assert_int_equal(form("a=1&b=2", f, 1, &n, copy), FORM_TOO_MANY);
}

static void header_parameters(void **state)
{
	struct slice h = SLICE("multipart/form-data ; x ; boundary=\"a;\\\"b\" ; charset=utf-8");

	(void)state;
	assert_true(slice_eq(http_media_type(h), SLICE("multipart/form-data")));
	assert_true(slice_eq(http_param(&region, h, "Boundary"), SLICE("a;\"b")));
	assert_true(slice_eq(http_param(&region, h, "charset"), SLICE("utf-8")));
	assert_null(http_param(&region, h, "none").p);
	assert_null(http_param(&region, SLICE("text/plain"), "charset").p);
	assert_int_equal(http_param(&region, SLICE("a; b=\"open"), "b").n, 4);
}

static void queries(void **state)
{
	struct slice rest = SLICE("a=1&;b=x%20y+z;c"), name, value;

	(void)state;
	assert_int_equal(http_query_next(&region, &rest, &name, &value), 1);
	assert_true(slice_eq(name, SLICE("a")));
	assert_int_equal(http_query_next(&region, &rest, &name, &value), 1);
	assert_true(slice_eq(value, SLICE("x y z")));
	assert_int_equal(http_query_next(&region, &rest, &name, &value), 1);
	assert_true(slice_eq(name, SLICE("c")) && value.n == 0);
	assert_int_equal(http_query_next(&region, &rest, &name, &value), 0);
	rest = SLICE("a=%00");
	assert_true(http_query_next(&region, &rest, &name, &value) < 0);
	rest = SLICE("a=%4");
	assert_true(http_query_next(&region, &rest, &name, &value) < 0);
}

static void json_texts_look_like_gsons(void **state)
{
	struct buf b = BUF_INIT(4096);

	(void)state;
	json_error(&b, 404, "ModelNotFoundException", SLICE("a \"b\" <c> / \xc3\xa9 \xff \n"));
	assert_string_equal(buf_cstr(&b),
			    "{\n  \"code\": 404,\n  \"type\": \"ModelNotFoundException\",\n"
			    "  \"message\": \"a \\\"b\\\" <c> / \xc3\xa9 \xef\xbf\xbd \\n\"\n}\n");
	buf_clear(&b);
	buf_putc(&b, '{');
	json_put_member(&b, "a", "{");
	json_put_member(&b, "b", NULL);
	assert_string_equal(buf_cstr(&b), "{\"a\":\"{\",\"b\":\"\"");
	buf_clear(&b);
	json_status(&b, SLICE("3 of x"));
	assert_string_equal(buf_cstr(&b), "{\n  \"status\": \"3 of x\"\n}\n");
	buf_finish(&b);
}

static void json_documents_are_utf8(void **state)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *root = yyjson_mut_obj(doc);
	struct buf b = BUF_INIT(4096);

	(void)state;
	yyjson_mut_doc_set_root(doc, root);
	yyjson_mut_obj_add_str(doc, root, "a", "\xc3\xa9\xff");
	assert_int_equal(json_write_pretty(&b, doc), 0);
	assert_string_equal(buf_cstr(&b), "{\n  \"a\": \"\xc3\xa9\xef\xbf\xbd\"\n}\n");
	buf_finish(&b);
	yyjson_mut_doc_free(doc);
}

static void json_members_are_lenient(void **state)
{
	static const char text[] =
		"{\"a\":\"7\",\"b\":8,\"c\":\"TRUE\",\"d\":true,\"e\":[],\"f\":-1}";
	yyjson_doc *doc = yyjson_read(text, sizeof(text) - 1, 0);
	yyjson_val *root = yyjson_doc_get_root(doc);
	int64_t n;
	bool t;

	(void)state;
	assert_true(json_i64(root, "a", &n) && n == 7);
	assert_true(json_i64(root, "b", &n) && n == 8);
	assert_true(json_i64(root, "f", &n) && n == -1);
	assert_false(json_i64(root, "e", &n));
	assert_true(json_bool(root, "c", &t) && t);
	assert_true(json_bool(root, "d", &t) && t);
	assert_false(json_bool(root, "b", &t));
	assert_true(slice_eq(json_text(&region, root, "b"), SLICE("8")));
	assert_null(json_text(&region, root, "e").p);
	assert_null(json_text(&region, root, "none").p);
	yyjson_doc_free(doc);
}

static void sendable_headers(void **state)
{
	(void)state;
	assert_true(http_name_valid(SLICE("X-Foo_1")));
	assert_false(http_name_valid(SLICE("")));
	assert_false(http_name_valid(SLICE("a b")));
	assert_false(http_name_valid(SLICE("a:b")));
	assert_true(http_value_valid(SLICE("any \t text \xff")));
	assert_false(http_value_valid(SLICE("a\r\nEvil: 1")));
	assert_false(http_value_valid(slice_make("a\0b", 3)));
	/* Each byte at each place, beside a plain rule. */
	for (size_t at = 0; at < 19; at++) {
		char text[19] = "nineteen bytes long";

		for (int c = 0; c < 256; c++) {
			text[at] = (char)c;
			assert_int_equal(http_value_valid(slice_make(text, sizeof(text))),
					 c == '\t' || (c >= 0x20 && c != 0x7f));
			assert_int_equal(http_name_valid(slice_make(text + at, 1)),
					 c && (isalnum(c) || strchr("!#$%&'*+-.^_`|~", c)) &&
						 c < 0x80);
		}
	}
}

/* It is asked for each header, so that what Connection names must be few. */
static void headers_of_one_connection(void **state)
{
	struct buf many = BUF_INIT(65536);
	struct http_hops hops;

	(void)state;
	http_hops_read(&hops, SLICE_NULL);
	assert_true(http_is_hop_by_hop(&hops, SLICE("Transfer-Encoding")));
	assert_false(http_is_hop_by_hop(&hops, SLICE("a")));
	http_hops_read(&hops, SLICE(",, close ,\tX-A,"));
	assert_int_equal(hops.n, 2);
	assert_true(http_is_hop_by_hop(&hops, SLICE("x-a")));
	assert_false(http_is_hop_by_hop(&hops, SLICE("x")));
	for (unsigned i = 0; i < 1000; i++)
		buf_printf(&many, ",h%u", i);
	http_hops_read(&hops, buf_slice(&many));
	assert_int_equal(hops.n, HTTP_HOPS_MAX);
	assert_true(http_is_hop_by_hop(&hops, SLICE("h0")));
	assert_false(http_is_hop_by_hop(&hops, SLICE("h999")));
	buf_finish(&many);
}

static int tear_down(void **state)
{
	(void)state;
	region_finish(&region);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(multipart_finds_its_parts),
		cmocka_unit_test(parameters_cost_no_memory),
		cmocka_unit_test(near_boundaries_cost_no_time),
		cmocka_unit_test(malformed_multipart_is_refused),
		cmocka_unit_test(forms_are_decoded_where_they_lie),
		cmocka_unit_test(header_parameters),
		cmocka_unit_test(queries),
		cmocka_unit_test(json_texts_look_like_gsons),
		cmocka_unit_test(json_documents_are_utf8),
		cmocka_unit_test(json_members_are_lenient),
		cmocka_unit_test(sendable_headers),
		cmocka_unit_test(headers_of_one_connection),
	};

	return cmocka_run_group_tests(tests, NULL, tear_down);
}
