/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>

#include "config/model_list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Input: a value of `models` or, after an 's', of `model_snapshot`. What is accepted can be written
 * as a snapshot; names that are UTF-8 read back. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	bool snapshot = n && *data == 's';
	struct slice json = slice_make((const char *)data + snapshot, n - snapshot);
	struct buf out = BUF_INIT((size_t)16 << 20), why = BUF_INIT(4096);
	struct buf doubts = BUF_INIT(4096);
	struct model_list l, again;

	if (model_list_parse(&l, snapshot ? MODEL_LIST_SNAPSHOT : MODEL_LIST_MODELS, json, &why,
			     &doubts) == 0) {
		model_list_write_snapshot(&out, "x", 1, l.entries, l.n);
		if (snapshot && !buf_overflowed(&out)) {
			if (model_list_parse(&again, MODEL_LIST_SNAPSHOT, buf_slice(&out), &why,
					     NULL) ||
			    again.n != l.n)
				__builtin_trap();
			model_list_finish(&again);
		}
	} else if (!why.n) {
		__builtin_trap();
	}
	model_list_finish(&l);
	buf_finish(&out);
	buf_finish(&why);
	buf_finish(&doubts);
	return 0;
}
