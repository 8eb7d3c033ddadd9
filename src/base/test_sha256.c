/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/sha256.h"

#define OF_NOTHING "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define OF_A_MILLION "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"

static void expect(const char *text, const char *sum)
{
	char got[SHA256_HEX_LEN + 1];
	struct sha256 h;

	sha256_init(&h);
	sha256_add(&h, text, strlen(text));
	sha256_end(&h, got);
	assert_string_equal(got, sum);
}

/* Of the standard, and of lengths around the end of a block. */
static void known_sums(void **state)
{
	(void)state;
	expect("", OF_NOTHING);
	expect("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	expect("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
	       "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
	expect("0123456789012345678901234567890123456789012345678901234",
	       "f34d5a0f80c0cbf84c8c0b90218c22637abd199965249da736a20143c8c9c9d9");
	expect("0123456789012345678901234567890123456789012345678901234567890123",
	       "9674d9e078535b7cec43284387a6ee39956188e735a85452b0050b55341cda56");
}

static void signs(const void *key, size_t n, const char *text, const char *sum)
{
	unsigned char got[SHA256_LEN];
	char hex[SHA256_HEX_LEN + 1];

	sha256_hmac(key, n, text, strlen(text), got);
	sha256_hex(got, hex);
	assert_string_equal(hex, sum);
}

/* Of RFC 4231: its cases 2 and 6. */
static void known_signatures(void **state)
{
	char long_key[131];

	(void)state;
	memset(long_key, 0xaa, sizeof(long_key));
	signs("Jefe", 4, "what do ya want for nothing?",
	      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	signs(long_key, sizeof(long_key), "Test Using Larger Than Block-Size Key - Hash Key First",
	      "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

static void a_million_in_pieces(void **state)
{
	char got[SHA256_HEX_LEN + 1], piece[1000];
	struct sha256 h;

	(void)state;
	memset(piece, 'a', sizeof(piece));
	sha256_init(&h);
	for (size_t left = 1000000, n = 1; left; left -= n) {
		n = left < 997 ? left : n % 997 + 1;
		sha256_add(&h, piece, n);
	}
	sha256_end(&h, got);
	assert_string_equal(got, OF_A_MILLION);
}

static void of_files(void **state)
{
	int fd = memfd_create("test", MFD_CLOEXEC), folder = -1;
	char got[SHA256_HEX_LEN + 1];

	(void)state;
	assert_int_equal(sha256_fd(fd, got), 0);
	assert_string_equal(got, OF_NOTHING);
	assert_int_equal(write(fd, "abc", 3), 3);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(sha256_fd(fd, got), 0);
	assert_string_equal(got,
			    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	close(fd);
	assert_true(sha256_fd(folder, got) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_sums),
		cmocka_unit_test(known_signatures),
		cmocka_unit_test(a_million_in_pieces),
		cmocka_unit_test(of_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
