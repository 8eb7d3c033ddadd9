/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>

#include "wire/multipart.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct multipart_part parts[16];
	struct region r;
	unsigned count;

	region_init(&r);
	multipart_parse(&r, slice_make((const char *)data, n), SLICE("XX"), parts, 16, &count);
	region_finish(&r);
	return 0;
}
