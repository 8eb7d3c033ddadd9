/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/guess.h"
#include "base/slice.h"
#include "base/util.h"

static void numbers_are_strict(void **state)
{
	uint64_t u = 7;
	int64_t i = 7;

	(void)state;
	assert_true(slice_u64(SLICE("18446744073709551615"), &u) && u == UINT64_MAX);
	assert_false(slice_u64(SLICE("18446744073709551616"), &u));
	assert_false(slice_u64(SLICE(""), &u));
	assert_false(slice_u64(SLICE("+1"), &u));
	assert_false(slice_u64(SLICE("1 "), &u));
	assert_true(slice_i64(SLICE("-9223372036854775808"), &i) && i == INT64_MIN);
	assert_false(slice_i64(SLICE("9223372036854775808"), &i));
	assert_true(slice_i64(SLICE("+5"), &i) && i == 5);
	assert_false(slice_i64(SLICE("-"), &i));
}

static void comparing_and_cutting(void **state)
{
	struct slice rest = SLICE("a,,b");

	(void)state;
	assert_true(slice_ieq(SLICE("Content-TYPE"), SLICE("content-type")));
	assert_false(slice_ieq(SLICE("a"), SLICE("ab")));
	assert_true(slice_starts(SLICE("abc"), SLICE("ab")) &&
		    slice_ends(SLICE("abc"), SLICE("bc")));
	assert_true(slice_istarts(SLICE("ABC"), SLICE("ab")));
	assert_true(slice_eq(slice_trim(SLICE(" \ta b\t ")), SLICE("a b")));
	assert_true(slice_eq(slice_cut(&rest, ','), SLICE("a")));
	assert_int_equal(slice_cut(&rest, ',').n, 0);
	assert_non_null(rest.p);
	assert_true(slice_eq(slice_cut(&rest, ','), SLICE("b")));
	assert_null(rest.p);
	assert_int_equal(slice_find(SLICE_NULL, 'x'), -1);
}

/* Every pair of bytes, at every place of texts of several lengths. */
static void case_folds_letters_only(void **state)
{
	static const size_t lengths[] = { 1, 7, 8, 11, 16, 19 };

	(void)state;
	for (size_t k = 0; k < ARRAY_LEN(lengths); k++)
		for (size_t at = 0; at < lengths[k]; at++)
			for (unsigned pair = 0; pair < 65536; pair++) {
				char a[] = "Transfer-Encoding:x", b[] = "tRANSFER-ENCODING:X";
				unsigned x = pair & 255, y = pair >> 8;
				bool letter = (x | 0x20) >= 'a' && (x | 0x20) <= 'z';
				bool equal = x == y || (letter && (x ^ y) == 0x20);

				a[at] = (char)x;
				b[at] = (char)y;
				if (slice_ieq(slice_make(a, lengths[k]),
					      slice_make(b, lengths[k])) != equal)
					fail_msg("%u and %u at %zu of %zu", x, y, at, lengths[k]);
			}
}

static void likeness(void **state)
{
	char longer[65] = { 0 };

	(void)state;
	assert_int_equal(slice_distance(SLICE("serve"), SLICE("serve"), 100), 0);
	assert_int_equal(slice_distance(SLICE("sreve"), SLICE("serve"), 100), 2);
	assert_int_equal(slice_distance(SLICE("Job-Queue"), SLICE("job_queues"), 100), 1);
	assert_int_equal(slice_distance(SLICE(""), SLICE("abc"), 100), 3);
	assert_true(slice_distance(slice_make(longer, 65), SLICE("a"), 100) > 1000);
}

/* What is looked at of the table does not change what is found. */
static void distances_below_a_bound(void **state)
{
	char a[8], b[8];

	(void)state;
	for (unsigned seed = 0; seed < 20000; seed++) {
		struct slice x = slice_make(a, seed % 8), y = slice_make(b, seed / 8 % 8);
		unsigned bits = seed * 2654435761u, whole;

		for (unsigned i = 0; i < 8; i++) {
			a[i] = (char)('a' + (bits >> i) % 2);
			b[i] = (char)('a' + (bits >> (i + 9)) % 2);
		}
		whole = slice_distance(x, y, 100);
		for (unsigned most = 0; most < 10; most++)
			assert_int_equal(slice_distance(x, y, most),
					 whole < most ? whole : UINT_MAX);
	}
}

static const char *guessed(const char *typed)
{
	static const char *const names[] = { "resnet", "resnet18", "a", "bert_base", "cut" };
	struct guess g = guess_begin(slice_str(typed));
	const char *meant = NULL;

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (guess_next(&g, slice_str(names[i])))
			meant = names[i];
	return meant;
}

static void what_was_meant_is_guessed(void **state)
{
	(void)state;
	assert_string_equal(guessed("resnt"), "resnet");
	assert_string_equal(guessed("resnet1"), "resnet");
	assert_string_equal(guessed("resnet-18"), "resnet18");
	assert_string_equal(guessed("BERT-bas"), "bert_base");
	assert_null(guessed("b"));
	assert_null(guessed(""));
	assert_null(guessed("vgg"));
	assert_null(guessed("rat"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(distances_below_a_bound),
		cmocka_unit_test(what_was_meant_is_guessed),
		cmocka_unit_test(numbers_are_strict),
		cmocka_unit_test(comparing_and_cutting),
		cmocka_unit_test(case_folds_letters_only),
		cmocka_unit_test(likeness),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
