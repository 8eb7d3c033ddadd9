/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/accept.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	int weight = accept_weight(slice_make((const char *)data, n), SLICE("text/plain"),
				   SLICE("0.0.4"));

	assert(weight >= ACCEPT_UNNAMED && weight <= 1000);
	return 0;
}
