/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "api/form.h"

#define FORM_LARGE ((size_t)200000)

static char text[FORM_LARGE];
static unsigned ready;

/* What keeps the thread of large forms. */
struct other {
	struct work work;
	uv_sem_t over;
};

static void other_run(struct work *w)
{
	uv_sem_wait(&container_of(w, struct other, work)->over);
}

static void other_done(struct work *w)
{
	(void)w;
}

static void form_is_ready(struct call *c)
{
	(void)c;
	ready++;
}

/* A large form waits behind another one, and its client leaves or stays. */
static void wait_behind_another(bool leaves)
{
	struct http_header type = { SLICE("content-type"),
				    SLICE("application/x-www-form-urlencoded") };
	struct exchange x = { .head = { .headers = &type, .n_headers = 1 } };
	struct fleet fleet = { 0 };
	struct api api = { .fleet = &fleet };
	struct call c = { .api = &api, .x = &x, .body.block.p = text, .body.used = FORM_LARGE };
	struct other other;
	uv_loop_t loop;

	memset(text, 'x', sizeof(text));
	memcpy(text, "a=%41", 5);
	ready = 0;
	uv_loop_init(&loop);
	uv_sem_init(&other.over, 0);
	list_init(&api.free_calls);
	list_init(&c.link);
	region_init(&c.region);
	lane_init(&api.forms, &loop);
	lane_add(&api.forms, &other.work, other_run, other_done);
	assert_true(form_read_ahead(&c, form_is_ready));
	if (leaves) {
		c.x = NULL;
		c.left(&c);
	}
	uv_sem_post(&other.over);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_null(c.waiting);
	assert_null(c.left);
	lane_finish(&api.forms);
	region_finish(&c.region);
	uv_sem_destroy(&other.over);
	assert_int_equal(uv_loop_close(&loop), 0);
}

static void test_a_form_is_read_in_its_turn(void **state)
{
	(void)state;
	wait_behind_another(false);
	assert_int_equal(ready, 1);
	assert_memory_equal(text, "a=A", 3);
}

static void test_nobody_waits_for_forms_of_clients_that_left(void **state)
{
	(void)state;
	wait_behind_another(true);
	assert_int_equal(ready, 0);
	assert_memory_equal(text, "a=%41", 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_form_is_read_in_its_turn),
		cmocka_unit_test(test_nobody_waits_for_forms_of_clients_that_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
