/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "trace/export_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice body = slice_make((const char *)data, n), why;

	assert(export_rejected(body, 512, &why) <= 512);
	assert(!why.p || (why.p >= body.p && why.p + why.n <= body.p + n));
	return 0;
}
