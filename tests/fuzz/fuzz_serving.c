/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>

#include "archive/serving.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Input: an optimized.json. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct manifest m = { .serving_threads = -1 };

	serving_parse(slice_make((const char *)data, n), &m);
	if (m.serving_threads != -1 && (m.serving_threads < 1 || m.serving_threads > 4096))
		__builtin_trap();
	return 0;
}
