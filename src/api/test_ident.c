/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "api/call.h"
#include "api/ident.h"

#define UUID "7f5a2f0e-31a7-4b7e-9f0f-1f6a5b0f8d11"

static struct http_head head_of(struct http_header *headers, unsigned n)
{
	return (struct http_head){ .headers = headers, .n_headers = n };
}

static void expect(const char *sent, const char *kept)
{
	struct http_header one = { SLICE("X-Request-ID"), slice_str(sent) };
	struct http_head head = head_of(&one, 1);
	struct slice got = ident_of_client(&head);

	assert_true(slice_eq(got, slice_str(kept)));
}

static void plain_words_are_kept(void **state)
{
	(void)state;
	expect("a", "a");
	expect(UUID, UUID);
	expect("Az09-_.:+/=", "Az09-_.:+/=");
	expect("", NULL);
	expect(UUID "1", NULL);
	expect("two words", NULL);
	expect("a,b", NULL);
	expect("a\"b", NULL);
	expect("a\x1b[2J", NULL);
	expect("n\xc3\xa4h", NULL);
	expect("a|b", NULL);
}

static void none_and_two_are_not(void **state)
{
	struct http_header two[] = { { SLICE("x-request-id"), SLICE("a") },
				     { SLICE("X-Request-Id"), SLICE("b") } };
	struct http_head none = head_of(two, 0), both = head_of(two, 2);

	(void)state;
	assert_null(ident_of_client(&none).p);
	assert_null(ident_of_client(&both).p);
}

static void no_two_have_the_same_at_once(void **state)
{
	struct http_header one = { SLICE("x-request-id"), SLICE("mine") };
	struct http_head head = head_of(&one, 1);
	struct api a = { 0 };
	struct call first = { .api = &a }, second = { .api = &a };

	(void)state;
	map_init(&a.idents);
	ident_take(&first, &head);
	ident_take(&second, &head);
	assert_string_equal(first.uuid, "mine");
	assert_int_equal(strlen(second.uuid), UUID_LEN);
	ident_return(&second);
	ident_return(&first);
	ident_take(&second, &head);
	assert_string_equal(second.uuid, "mine");
	ident_return(&second);
	assert_int_equal(a.idents.n, 0);
	map_finish(&a.idents);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_words_are_kept),
		cmocka_unit_test(none_and_two_are_not),
		cmocka_unit_test(no_two_have_the_same_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
