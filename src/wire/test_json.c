/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "wire/json.h"

static yyjson_mut_doc *document(yyjson_mut_val **ret)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);

	*ret = yyjson_mut_arr(doc);
	yyjson_mut_doc_set_root(doc, *ret);
	return doc;
}

static yyjson_mut_doc *nested(unsigned depth)
{
	yyjson_mut_val *at;
	yyjson_mut_doc *doc = document(&at);

	while (--depth)
		at = yyjson_mut_arr_add_arr(doc, at);
	return doc;
}

static void a_document_is_indented_and_clean(void **state)
{
	struct buf out = BUF_INIT(1000);
	yyjson_mut_val *root;
	yyjson_mut_doc *doc = document(&root);

	(void)state;
	yyjson_mut_arr_add_str(doc, root, "caf\xc3\xa9");
	yyjson_mut_arr_add_str(doc, root, "a\xff");
	assert_int_equal(json_write_pretty(&out, doc), 0);
	assert_string_equal(buf_cstr(&out), "[\n  \"caf\xc3\xa9\",\n  \"a\xef\xbf\xbd\"\n]\n");
	buf_finish(&out);
	yyjson_mut_doc_free(doc);
}

static void what_is_too_large_when_indented_is_written_without(void **state)
{
	struct buf out = BUF_INIT((size_t)1 << 20);
	yyjson_mut_doc *doc = nested(100000);

	(void)state;
	assert_int_equal(json_write_pretty(&out, doc), 0);
	assert_int_equal(out.n, 200001);
	buf_finish(&out);
	yyjson_mut_doc_free(doc);
}

static void what_is_too_large_is_not_written(void **state)
{
	struct buf out = BUF_INIT(1000);
	yyjson_mut_doc *doc = nested(100000);

	(void)state;
	assert_int_equal(json_write_pretty(&out, doc), -ENOBUFS);
	buf_finish(&out);
	yyjson_mut_doc_free(doc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_document_is_indented_and_clean),
		cmocka_unit_test(what_is_too_large_when_indented_is_written_without),
		cmocka_unit_test(what_is_too_large_is_not_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
