/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "archive/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Input: MANIFEST.json, a NUL, model-config.yaml. What is accepted must survive the trip to the
 * front. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice rest = slice_make((const char *)data, n), json = slice_cut(&rest, '\0');
	struct archive_error err = { .message = BUF_INIT(4096) };
	struct buf out = BUF_INIT((size_t)16 << 20);
	struct manifest m, again;
	struct region r;

	region_init(&r);
	if (manifest_parse(&r, json, rest, SLICE("some-file.mar"), SLICE_NULL, &m, &err) == 0) {
		manifest_write_json(&m, &out);
		if (!buf_overflowed(&out) && manifest_read_json(&r, buf_slice(&out), &again) < 0)
			__builtin_trap();
	}
	buf_finish(&out);
	buf_finish(&err.message);
	region_finish(&r);
	return 0;
}
