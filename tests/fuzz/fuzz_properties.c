/* SPDX-License-Identifier: Apache-2.0 */

/* What config.properties says reads back the same after it was written out. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "config/properties.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_round_trip(const struct property *e)
{
	_cleanup_(buf_finish) struct buf line = BUF_INIT(4 * PROPERTIES_TEXT_MAX);
	_cleanup_(buf_finish) struct buf why = BUF_INIT(1024);
	_cleanup_(properties_finish) struct properties again;
	struct property back;
	int r;

	properties_put(&line, e->key, e->value);
	properties_init(&again, buf_slice(&line));
	r = properties_next(&again, &back, &why);
	assert(r == 1 && slice_eq(back.key, e->key) && slice_eq(back.value, e->value));
	r = properties_next(&again, &back, &why);
	assert(r == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char *environment[] = { (char[]){ "A=1" }, (char[]){ "LONG_NAME=$$A$$" }, NULL };
	_cleanup_(properties_finish) struct properties p;
	struct property e;
	int r;

	if (n > 65536)
		return 0;
	properties_init(&p, slice_make((const char *)data, n));
	do {
		_cleanup_(buf_finish) struct buf why = BUF_INIT(1024), out = BUF_INIT(1 << 20);

		r = properties_next(&p, &e, &why);
		if (r > 0) {
			check_round_trip(&e);
			properties_expand(e.value, environment, &out, &why);
		}
		assert(r >= 0 || why.n);
	} while (r);
	return 0;
}
