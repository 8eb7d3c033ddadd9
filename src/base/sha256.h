/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* SHA-256 (FIPS 180-4), for checksums of files, and HMAC with it (RFC 2104), for signatures. Its
 * time depends on the data's length alone. */

#include <stddef.h>
#include <stdint.h>

#define SHA256_LEN 32
#define SHA256_HEX_LEN 64

struct sha256 {
	uint32_t state[8];
	uint64_t bytes;
	unsigned char block[64]; /* what is left of the last whole one */
};

void sha256_init(struct sha256 *h);
void sha256_add(struct sha256 *h, const void *p, size_t n);
/* The sum. `h` is used up. */
void sha256_finish(struct sha256 *h, unsigned char ret[SHA256_LEN]);
/* The sum as lower-case hex with a zero at its end. `h` is used up. */
void sha256_end(struct sha256 *h, char ret[SHA256_HEX_LEN + 1]);
void sha256_hmac(const void *key, size_t key_len, const void *p, size_t n,
		 unsigned char ret[SHA256_LEN]);
void sha256_hex(const unsigned char sum[SHA256_LEN], char ret[SHA256_HEX_LEN + 1]);
/* Of what is left to read. 0 or -errno. */
int sha256_fd(int fd, char ret[SHA256_HEX_LEN + 1]);
