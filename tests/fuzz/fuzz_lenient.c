/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <yyjson.h>

#include "wire/lenient.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* What is strict JSON already means the same afterwards. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	yyjson_doc *before = yyjson_read((const char *)data, n, 0);
	struct buf out = BUF_INIT(6 * n + 16);
	yyjson_doc *after;

	assert(lenient_rewrite(slice_make((const char *)data, n), &out));
	after = yyjson_read(out.p, out.n, 0);
	assert(!before || yyjson_equals(yyjson_doc_get_root(before), yyjson_doc_get_root(after)));
	yyjson_doc_free(before);
	yyjson_doc_free(after);
	buf_finish(&out);
	return 0;
}
