/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "archive/pull_list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* What is taken names a file of the folder, and stays what it was when it is written down. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct pull_list list = { 0 }, again = { 0 };
	struct buf why = BUF_INIT((size_t)1 << 20), text = BUF_INIT((size_t)1 << 24);
	int r = pull_list_parse(&list, slice_make((const char *)data, n), "list", &why);

	assert((r < 0) == (why.n > 0));
	for (size_t i = 0; i < list.n; i++) {
		const struct pull_item *item = &list.items[i];

		assert(*item->name && *item->name != '.' && !strchr(item->name, '/'));
		assert(strlen(item->sum) == SHA256_HEX_LEN);
		assert(pull_list_has(&list, slice_str(item->name)));
		buf_printf(&text, "%s %s %s\n", item->name, item->sum, item->url);
	}
	assert(pull_list_parse(&again, buf_slice(&text), "again", &why) == 0);
	assert(again.n == list.n);
	pull_list_finish(&list);
	pull_list_finish(&again);
	buf_finish(&text);
	buf_finish(&why);
	return 0;
}
