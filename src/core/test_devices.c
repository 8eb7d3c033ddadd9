/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <limits.h>

#include "base/util.h"
#include "core/devices.h"

struct choice {
	const char *type, *ids;
	unsigned level, gpus;
	bool valid, gpu, pinned;
	unsigned n, capacity;
	int slots[5]; /* of the first five workers */
};

static const struct choice choices[] = {
	/* no GPU */
	{ "", "", 0, 0, true, false, false, 0, UINT_MAX, { -1, -1, -1, -1, -1 } },
	{ "gpu", "", 0, 0, true, false, false, 0, UINT_MAX, { -1, -1, -1, -1, -1 } },
	{ "gpu", "0", 0, 0, false, false, false, 0, UINT_MAX, { -1, -1, -1, -1, -1 } },
	{ "", "", 2, 0, true, false, false, 0, UINT_MAX, { -1, -1, -1, -1, -1 } },
	/* spread over all */
	{ "", "", 0, 1, true, true, false, 1, UINT_MAX, { 0, 0, 0, 0, 0 } },
	{ "", "", 0, 2, true, true, false, 2, UINT_MAX, { 0, 1, 0, 1, 0 } },
	{ "gpu", "", 0, 4, true, true, false, 4, UINT_MAX, { 0, 1, 2, 3, 0 } },
	{ "cpu", "", 0, 4, true, false, false, 0, UINT_MAX, { -1, -1, -1, -1, -1 } },
	/* deviceIds */
	{ "", "3,1", 0, 4, true, true, true, 2, UINT_MAX, { 0, 1, 0, 1, 0 } },
	{ "cpu", "3,1", 0, 4, true, false, true, 2, UINT_MAX, { -1, -1, -1, -1, -1 } },
	{ "", "0,4", 0, 4, false, true, false, 4, UINT_MAX, { 0, 1, 2, 3, 0 } },
	{ "", "-1", 0, 4, false, true, false, 4, UINT_MAX, { 0, 1, 2, 3, 0 } },
	{ "", "1,x", 0, 2, false, true, false, 2, UINT_MAX, { 0, 1, 0, 1, 0 } },
	/* parallelLevel */
	{ "", "", 2, 4, true, true, false, 4, 2, { 0, 2, 0, 2, 0 } },
	{ "", "", 2, 5, true, true, false, 5, 2, { 0, 2, 0, 2, 0 } },
	{ "", "", 4, 4, true, true, false, 4, 1, { 0, 0, 0, 0, 0 } },
	{ "", "", 3, 2, true, true, false, 2, 0, { -1, -1, -1, -1, -1 } },
	{ "", "5,4,1,0", 2, 8, true, true, true, 4, 2, { 0, 2, 0, 2, 0 } },
	{ "cpu", "", 2, 4, true, false, false, 0, UINT_MAX, { -1, -1, -1, -1, -1 } },
	/* more than we keep books of */
	{ "", "", 0, 9999, true, true, false, DEVICES_MAX, UINT_MAX, { 0, 1, 2, 3, 4 } },
};

static void models_choose_and_workers_are_spread(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(choices); i++) {
		const struct choice *c = &choices[i];
		struct devices_load load = { 0 };
		struct devices d;

		assert_int_equal(devices_choose(&d, slice_str(c->type), slice_str(c->ids), c->level,
						c->gpus),
				 c->valid);
		assert_int_equal(d.gpu, c->gpu);
		assert_int_equal(d.pinned, c->pinned);
		assert_int_equal(d.n, c->n);
		assert_int_equal(devices_capacity(&d), c->capacity);
		for (size_t w = 0; w < ARRAY_LEN(c->slots); w++) {
			int slot = devices_pick(&d, &load);

			assert_int_equal(slot, c->slots[w]);
			devices_count(&d, slot, true, &load);
		}
	}
}

static void versions_share_the_server_evenly(void **state)
{
	struct devices d;
	struct devices_load load = { 0 };

	(void)state;
	devices_choose(&d, SLICE(""), SLICE(""), 0, 3);
	devices_count(&d, devices_pick(&d, &load), false, &load); /* another model's: 0 */
	assert_int_equal(devices_pick(&d, &load), 1);
	devices_count(&d, 1, true, &load);
	assert_int_equal(devices_pick(&d, &load), 2);
	devices_count(&d, 2, true, &load);
	/* All have one; the one that is not its own is next. */
	assert_int_equal(devices_pick(&d, &load), 0);
}

static void a_place_that_became_free_is_filled(void **state)
{
	struct devices d;
	struct devices_load load = { 0 };

	(void)state;
	devices_choose(&d, SLICE("gpu"), SLICE(""), 2, 6);
	devices_count(&d, 0, true, &load);
	devices_count(&d, 4, true, &load);
	assert_int_equal(devices_pick(&d, &load), 2);
}

static void visible(const char *list, unsigned gpus, unsigned n, const char *last)
{
	struct slice out[DEVICES_MAX];

	assert_int_equal(devices_visible(slice_str(list), gpus, out), n);
	if (n)
		assert_true(slice_eq(out[n - 1], slice_str(last)));
}

static void visible_devices_are_read_as_drivers_do(void **state)
{
	(void)state;
	visible("0,1", 4, 2, "1");
	visible("3, 2", 4, 2, "2");
	visible("", 4, 0, NULL);
	visible("-1", 4, 0, NULL);
	visible("NoDevFiles", 4, 1, "NoDevFiles");
	visible("1,-1,2", 4, 1, "1");
	visible("1,4,2", 4, 1, "1");
	visible("1,,2", 4, 1, "1");
	visible("GPU-8932f937,MIG-1", 4, 2, "MIG-1");
	visible("0,1,2,3", 2, 2, "1");
	visible("0", 0, 0, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(models_choose_and_workers_are_spread),
		cmocka_unit_test(versions_share_the_server_evenly),
		cmocka_unit_test(a_place_that_became_free_is_filled),
		cmocka_unit_test(visible_devices_are_read_as_drivers_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
