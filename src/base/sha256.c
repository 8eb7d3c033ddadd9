/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sha256.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/util.h"

#define SHA256_READ ((size_t)256 << 10)
#define SHA256_LENGTH_AT 56

/* The first 32 bits of the fractions of the cube roots of the first 64 primes. */
static const uint32_t constants[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
	0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
	0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
	0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
	0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
	0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
	0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
	0xc67178f2
};

static uint32_t turn(uint32_t x, unsigned by)
{
	return x >> by | x << (32 - by);
}

static void sha256_expand(uint32_t w[64], const unsigned char *p)
{
	for (int i = 0; i < 16; i++, p += 4)
		w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
	for (int i = 16; i < 64; i++) {
		uint32_t a = w[i - 15], b = w[i - 2];

		w[i] = w[i - 16] + w[i - 7] + (turn(a, 7) ^ turn(a, 18) ^ a >> 3) +
		       (turn(b, 17) ^ turn(b, 19) ^ b >> 10);
	}
}

/* The standard's names: a to h are s[0] to s[7]. */
static void sha256_block(struct sha256 *h, const unsigned char *p)
{
	uint32_t w[64], s[8];

	sha256_expand(w, p);
	memcpy(s, h->state, sizeof(s));
	for (int i = 0; i < 64; i++) {
		uint32_t choice = (s[4] & s[5]) ^ (~s[4] & s[6]);
		uint32_t majority = (s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]);
		uint32_t t1 = s[7] + (turn(s[4], 6) ^ turn(s[4], 11) ^ turn(s[4], 25)) + choice +
			      constants[i] + w[i];
		uint32_t t2 = (turn(s[0], 2) ^ turn(s[0], 13) ^ turn(s[0], 22)) + majority;

		memmove(s + 1, s, 7 * sizeof(*s));
		s[4] += t1;
		s[0] = t1 + t2;
	}
	for (int i = 0; i < 8; i++)
		h->state[i] += s[i];
}

void sha256_init(struct sha256 *h)
{
	static const uint32_t start[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
					   0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };

	memcpy(h->state, start, sizeof(start));
	h->bytes = 0;
}

void sha256_add(struct sha256 *h, const void *data, size_t n)
{
	const unsigned char *p = data;

	while (n) {
		size_t have = h->bytes % sizeof(h->block), take = MIN(n, sizeof(h->block) - have);

		memcpy(h->block + have, p, take);
		h->bytes += take;
		p += take;
		n -= take;
		if (have + take == sizeof(h->block))
			sha256_block(h, h->block);
	}
}

void sha256_finish(struct sha256 *h, unsigned char ret[SHA256_LEN])
{
	static const unsigned char padding[64] = { 0x80 };
	uint64_t bits = h->bytes * 8;
	size_t have = h->bytes % sizeof(h->block);
	unsigned char length[8];

	for (int i = 0; i < 8; i++)
		length[i] = (unsigned char)(bits >> (56 - 8 * i));
	sha256_add(h, padding,
		   (have < SHA256_LENGTH_AT ? SHA256_LENGTH_AT : SHA256_LENGTH_AT + 64) - have);
	sha256_add(h, length, sizeof(length));
	for (int i = 0; i < SHA256_LEN; i++)
		ret[i] = (unsigned char)(h->state[i / 4] >> (24 - 8 * (i % 4)));
}

void sha256_hex(const unsigned char sum[SHA256_LEN], char ret[SHA256_HEX_LEN + 1])
{
	for (int i = 0; i < SHA256_LEN; i++)
		snprintf(ret + (size_t)2 * i, 3, "%02x", sum[i]);
}

void sha256_end(struct sha256 *h, char ret[SHA256_HEX_LEN + 1])
{
	unsigned char sum[SHA256_LEN];

	sha256_finish(h, sum);
	sha256_hex(sum, ret);
}

/* The key, made as long as a block, and turned by a number. */
static void hmac_begin(struct sha256 *h, const unsigned char key[64], unsigned char by)
{
	unsigned char block[64];

	for (size_t i = 0; i < sizeof(block); i++)
		block[i] = key[i] ^ by;
	sha256_init(h);
	sha256_add(h, block, sizeof(block));
}

void sha256_hmac(const void *key, size_t key_len, const void *p, size_t n,
		 unsigned char ret[SHA256_LEN])
{
	unsigned char own[64] = { 0 }, inner[SHA256_LEN];
	struct sha256 h;

	if (key_len > sizeof(own)) {
		sha256_init(&h);
		sha256_add(&h, key, key_len);
		sha256_finish(&h, own);
	} else {
		memcpy(own, key, key_len);
	}
	hmac_begin(&h, own, 0x36);
	sha256_add(&h, p, n);
	sha256_finish(&h, inner);
	hmac_begin(&h, own, 0x5c);
	sha256_add(&h, inner, sizeof(inner));
	sha256_finish(&h, ret);
}

int sha256_fd(int fd, char ret[SHA256_HEX_LEN + 1])
{
	_cleanup_(freep) char *part = mem_alloc(SHA256_READ);
	struct sha256 h;
	ssize_t n;

	sha256_init(&h);
	while ((n = read(fd, part, SHA256_READ)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		sha256_add(&h, part, (size_t)n);
	}
	sha256_end(&h, ret);
	return 0;
}
