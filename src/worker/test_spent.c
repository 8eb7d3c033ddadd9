/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "worker/spent.h"

static char packet[FRAME_MAX];
static struct spent s;

/* The names of the next phase and of what it is a part of; NULL: there is none more. */
static const char *next(struct slice *rest, unsigned index)
{
	static char text[FRAME_PHASE_NAME_MAX + 1];
	struct frame_phase p;

	if (!rest->n)
		return NULL;
	assert_int_equal(frame_phase_next(rest, index, &p), 0);
	assert_true(p.begin_ns && p.end_ns >= p.begin_ns);
	memcpy(text, p.name.p, p.name.n);
	text[p.name.n] = '\0';
	text[0] = (char)('0' + p.parent);
	return text;
}

static void phases_are_parts_of_those_that_are_open(void **state)
{
	unsigned worker, pre;
	struct slice rest;
	struct frame f;

	(void)state;
	spent_begin(&s, true, 7);
	worker = spent_open(&s, "worker");
	pre = spent_open(&s, "preprocess");
	spent_add(&s, "a-step", 5, 6);
	spent_close(&s, pre);
	spent_close(&s, spent_open(&s, "inference"));
	(void)worker; /* what is open ends with the frame */
	assert_int_equal(frame_read(spent_frame(&s, packet), &f), 0);
	assert_int_equal(f.arg, 7);
	rest = f.body;
	assert_string_equal(next(&rest, 1), "0orker");
	assert_string_equal(next(&rest, 2), "1reprocess");
	assert_string_equal(next(&rest, 3), "2-step");
	assert_string_equal(next(&rest, 4), "1nference");
	assert_null(next(&rest, 5));
	/* Once. */
	assert_null(spent_frame(&s, packet).p);
	spent_close(&s, worker);
}

static void nobody_wants_it_nothing_is_done(void **state)
{
	(void)state;
	spent_begin(&s, false, 1);
	assert_int_equal(spent_open(&s, "worker"), 0);
	spent_add(&s, "a-step", 1, 2);
	spent_close(&s, 0);
	assert_int_equal(s.n, 0);
	assert_null(spent_frame(&s, packet).p);
}

static void what_is_too_much_is_left_out(void **state)
{
	struct frame f;

	(void)state;
	spent_begin(&s, true, 1);
	spent_open(&s, "worker");
	for (unsigned i = 0; i < 2 * FRAME_PHASES_MAX; i++)
		spent_close(&s, spent_open(&s, "inference"));
	assert_int_equal(frame_read(spent_frame(&s, packet), &f), 0);
	assert_int_equal(f.count, FRAME_PHASES_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(phases_are_parts_of_those_that_are_open),
		cmocka_unit_test(nobody_wants_it_nothing_is_done),
		cmocka_unit_test(what_is_too_much_is_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
