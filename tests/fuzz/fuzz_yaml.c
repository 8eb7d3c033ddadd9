/* SPDX-License-Identifier: Apache-2.0 */

/* Whatever the text, the tree is within its bounds and its JSON is JSON. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <yyjson.h>

#include "config/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_json(const struct yaml *y)
{
	_cleanup_(buf_finish) struct buf out = BUF_INIT(64 << 20);
	yyjson_doc *doc;

	yaml_to_json(y, &out);
	assert(!buf_overflowed(&out));
	/* Infinity is written as a number too large for a double. */
	doc = yyjson_read_opts(out.p, out.n, YYJSON_READ_ALLOW_INF_AND_NAN, NULL, NULL);
	if (!doc)
		doc = yyjson_read(out.p, out.n, YYJSON_READ_NUMBER_AS_RAW);
	assert(doc);
	yyjson_doc_free(doc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	_cleanup_(buf_finish) struct buf why = BUF_INIT(4096);
	_cleanup_(region_finish) struct region r;
	struct yaml *y = NULL;

	region_init(&r);
	if (yaml_parse(&r, slice_make((const char *)data, n), &y, &why) < 0) {
		assert(!y && why.n);
		return 0;
	}
	assert(y && y->height <= 32);
	check_json(y);
	return 0;
}
