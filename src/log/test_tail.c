/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "log/tail.h"

#define STAMP "2026-11-24T12:00:00,123 [INFO ] "

struct place {
	char folder[32], path[64], older[64];
	struct log_tail t;
};

static int setup(void **state)
{
	struct place *p = mem_new(struct place);

	*state = p;
	memcpy(p->folder, "/tmp/test_tail.XXXXXX", 22);
	if (!mkdtemp(p->folder))
		return -1;
	snprintf(p->path, sizeof(p->path), "%s/model_log.log", p->folder);
	snprintf(p->older, sizeof(p->older), "%s/model_log.log.1", p->folder);
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;

	file_remove_tree(p->folder);
	log_tail_finish(&p->t);
	free(p);
	return 0;
}

static void put(const char *path, const char *text)
{
	assert_int_equal(file_write_atomic(path, slice_str(text), 0600), 0);
}

/* Reads again. */
static int tail(struct place *p, const char *model, const char *worker, unsigned lines)
{
	const struct log_filter f = { .model = slice_str(model) };

	log_tail_finish(&p->t);
	return log_tail_read(&p->t, p->path, &f, slice_str(worker), lines);
}

static void is(const struct place *p, unsigned i, const char *line)
{
	assert_true(i < p->t.n);
	assert_true(slice_eq(p->t.lines[i], slice_str(line)));
}

static void the_newest_are_kept_in_their_order(void **state)
{
	struct place *p = *state;

	put(p->path, "a\nb\nc\nd\ne\n");
	for (unsigned n = 1; n <= 7; n++) {
		assert_int_equal(tail(p, NULL, NULL, n), 0);
		assert_int_equal(p->t.n, n < 5 ? n : 5);
		assert_int_equal(p->t.more, n < 5);
		is(p, p->t.n - 1, "e");
		is(p, 0, (const char *const[]){ "e", "d", "c", "b", "a", "a", "a" }[n - 1]);
	}
}

static void a_last_line_without_its_end_counts(void **state)
{
	struct place *p = *state;

	put(p->path, "\na\n\nb");
	assert_int_equal(tail(p, NULL, NULL, 10), 0);
	assert_int_equal(p->t.n, 2);
	is(p, 0, "a");
	is(p, 1, "b");
	put(p->path, "");
	assert_int_equal(tail(p, NULL, NULL, 10), 0);
	assert_int_equal(p->t.n, 0);
	assert_false(p->t.more);
}

static void models_and_workers_are_told_apart(void **state)
{
	struct place *p = *state;

	put(p->path, STAMP "W-9000-a_1.0-stdout MODEL_LOG - one\n" STAMP
			   "W-9001-a_1.0-stdout MODEL_LOG - W-9 two\n" STAMP
			   "W-9000-b_1.0-stdout MODEL_LOG - three\n" STAMP
			   "W-90001-a_1.0-stdout MODEL_LOG - four");
	assert_int_equal(tail(p, "a", NULL, 10), 0);
	assert_int_equal(p->t.n, 3);
	assert_int_equal(tail(p, "a", "9001", 10), 0);
	assert_int_equal(p->t.n, 1);
	is(p, 0, STAMP "W-9001-a_1.0-stdout MODEL_LOG - W-9 two");
	assert_int_equal(tail(p, NULL, "9000", 10), 0);
	assert_int_equal(p->t.n, 2);
	assert_int_equal(tail(p, NULL, "9", 10), 0);
	assert_int_equal(p->t.n, 0);
}

static void the_rotated_file_comes_before(void **state)
{
	struct place *p = *state;

	put(p->older, "a\nb\n");
	put(p->path, "c\n");
	assert_int_equal(tail(p, NULL, NULL, 2), 0);
	assert_int_equal(p->t.n, 2);
	is(p, 0, "b");
	is(p, 1, "c");
	assert_int_equal(tail(p, NULL, NULL, 3), 0);
	assert_false(p->t.more);
}

static void large_files_are_read_from_their_end_only(void **state)
{
	struct place *p = *state;
	size_t n = LOG_TAIL_READ + 100;
	char *text = mem_alloc(n + 1);

	memset(text, 'x', n);
	text[n] = '\0';
	memcpy(text + n - 6, "\nlast\n", 6);
	put(p->path, text);
	put(p->older, "never seen\n");
	assert_int_equal(tail(p, NULL, NULL, 10), 0);
	assert_int_equal(p->t.n, 1);
	assert_true(p->t.more);
	is(p, 0, "last");
	/* Lines of too much text: the newest. */
	for (size_t i = 0; i < n - 6; i += 1000)
		text[i] = '\n';
	put(p->path, text);
	assert_int_equal(tail(p, NULL, NULL, LOG_TAIL_LINES), 0);
	is(p, p->t.n - 1, "last");
	assert_true(p->t.more && p->t.n >= LOG_TAIL_TEXT / 1000 &&
		    p->t.n <= LOG_TAIL_TEXT / 1000 + 3);
	free(text);
}

static void what_is_no_file_is_refused(void **state)
{
	struct place *p = *state;

	assert_int_equal(tail(p, NULL, NULL, 1), -ENOENT);
	assert_int_equal(mkfifo(p->path, 0600), 0);
	assert_int_equal(tail(p, NULL, NULL, 1), -ENOTSUP);
	assert_int_equal(p->t.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_newest_are_kept_in_their_order, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_last_line_without_its_end_counts, setup,
						teardown),
		cmocka_unit_test_setup_teardown(models_and_workers_are_told_apart, setup, teardown),
		cmocka_unit_test_setup_teardown(the_rotated_file_comes_before, setup, teardown),
		cmocka_unit_test_setup_teardown(large_files_are_read_from_their_end_only, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_is_no_file_is_refused, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
