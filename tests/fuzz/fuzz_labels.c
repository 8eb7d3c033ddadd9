/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "pipeline/labels.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* index_to_name.json. What is found lies in the file's text. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct sconce_error e = { "" };
	struct labels *l = labels_parse(slice_make((const char *)data, n), &e);

	if (!l) {
		assert(*e.text);
		return 0;
	}
	for (int64_t i = -2; i < 12; i++) {
		const struct label *found = labels_find(l, i);

		assert(!found || (found->class == i && found->name.p));
	}
	labels_free(l);
	return 0;
}
