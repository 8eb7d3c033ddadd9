/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/smi.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice text = slice_make((const char *)data, n);
	struct smi_gpu gpus[8];
	unsigned found = smi_parse(text, gpus, 8);

	assert(found <= 8);
	for (unsigned i = 0; i < found; i++)
		assert(!gpus[i].busy.p ||
		       (gpus[i].busy.p >= text.p && gpus[i].busy.p + gpus[i].busy.n <= text.p + n));
	return 0;
}
