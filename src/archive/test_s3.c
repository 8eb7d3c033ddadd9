/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "archive/s3.h"

#define OF_NOTHING "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static const struct s3_account amazon = { .key_id = "AKIAIOSFODNN7EXAMPLE",
					  .secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
					  .region = "us-east-1" };

static void is_at(const struct s3_account *a, const char *url, const char *address)
{
	char *got = s3_address(a, url);

	assert_string_equal(got, address);
	free(got);
}

static void where_files_are(void **state)
{
	struct s3_account own = amazon;

	(void)state;
	is_at(&amazon, "s3://shop/v2/cat.mar",
	      "https://shop.s3.us-east-1.amazonaws.com/v2/cat.mar");
	is_at(&amazon, "s3://a.shop/cat", "https://s3.us-east-1.amazonaws.com/a.shop/cat");
	is_at(&amazon, "S3://shop/a%b?c\xff",
	      "https://shop.s3.us-east-1.amazonaws.com/a%25b%3Fc%FF");
	own.endpoint = "http://127.0.0.1:9000//";
	is_at(&own, "s3://shop/cat.mar", "http://127.0.0.1:9000/shop/cat.mar");
	assert_null(s3_address(&own, "https://shop/cat.mar"));
	assert_true(s3_is_url(SLICE("s3://a/b")));
	assert_false(s3_is_url(SLICE("s3://a/")) || s3_is_url(SLICE("s3://a")) ||
		     s3_is_url(SLICE("s3:///b")) || s3_is_url(SLICE("s4://a/b")));
}

static void signs(const struct s3_account *a, const char *address, const char *lines)
{
	struct buf b = BUF_INIT(4096);

	/* 2013-05-24, as Amazon's examples have it. */
	s3_sign(a, address, 1369353600, &b);
	assert_string_equal(buf_cstr(&b), lines);
	buf_finish(&b);
}

/* As Amazon's own library for Python has them. */
static void what_a_request_says(void **state)
{
	struct s3_account other = amazon;

	(void)state;
	signs(&amazon, "https://examplebucket.s3.amazonaws.com/test.txt",
	      "Authorization: AWS4-HMAC-SHA256 "
	      "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
	      "SignedHeaders=host;x-amz-content-sha256;x-amz-date, "
	      "Signature=df548e2ce037944d03f3e68682813b093763996d597cf890ca3d9037fd231eb4\n"
	      "x-amz-content-sha256: " OF_NOTHING "\nx-amz-date: 20130524T000000Z\n");
	other.token = "a/token==";
	other.region = "eu-west-1";
	signs(&other, "http://127.0.0.1:9000/b/a%20file",
	      "Authorization: AWS4-HMAC-SHA256 "
	      "Credential=AKIAIOSFODNN7EXAMPLE/20130524/eu-west-1/s3/aws4_request, "
	      "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token, "
	      "Signature=f6bcc74745706a6b4a654a45d7ecfd8caaeb26620faa4618b800fbd3a9a90e3c\n"
	      "x-amz-content-sha256: " OF_NOTHING "\nx-amz-date: 20130524T000000Z\n"
	      "x-amz-security-token: a/token==\n");
	other.secret = NULL;
	signs(&other, "http://127.0.0.1:9000/b/a%20file", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(where_files_are),
		cmocka_unit_test(what_a_request_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
