/* SPDX-License-Identifier: Apache-2.0 */
#include "base/uuid.h"

#include <endian.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

/* xoshiro256++ (Blackman and Vigna, public domain description), seeded once from the kernel. */
static uint64_t uuid_state[4];

static uint64_t uuid_rotl(uint64_t x, int k)
{
	return (x << k) | (x >> (64 - k));
}

static void uuid_seed(void)
{
	if (getrandom(uuid_state, sizeof(uuid_state), 0) == sizeof(uuid_state))
		return;
	uuid_state[0] = (uint64_t)time(NULL);
	uuid_state[1] = (uint64_t)getpid();
	uuid_state[2] = (uint64_t)clock();
	uuid_state[3] = 1;
}

uint64_t uuid_random(void)
{
	uint64_t *s = uuid_state;
	uint64_t result, t;

	if (!(s[0] | s[1] | s[2] | s[3]))
		uuid_seed();
	result = uuid_rotl(s[0] + s[3], 23) + s[0];
	t = s[1] << 17;
	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = uuid_rotl(s[3], 45);
	return result;
}

/* The eight digits of `v`, all at once: a byte of `w` for each. */
static void uuid_put_hex(char out[8], uint32_t v)
{
	const uint64_t each = UINT64_C(0x0101010101010101);
	uint64_t w = v, letters;

	w = (w | w << 16) & UINT64_C(0x0000ffff0000ffff);
	w = (w | w << 8) & UINT64_C(0x00ff00ff00ff00ff);
	w = (w | w << 4) & each * 0x0f;
	letters = (w + each * 6) >> 4 & each; /* 1 where the digit is above 9 */
	w = htobe64(w + each * '0' + letters * ('a' - '0' - 10));
	memcpy(out, &w, sizeof(w));
}

void uuid_make(char out[UUID_LEN + 1])
{
	static const char form[] = "00000000-0000-4000-8000-000000000000";
	uint64_t w[2] = { uuid_random(), uuid_random() };
	char hex[32];

	w[0] = (w[0] & ~UINT64_C(0xf000)) | UINT64_C(0x4000);
	w[1] = (w[1] & ~(UINT64_C(3) << 62)) | (UINT64_C(2) << 62);
	for (int i = 0; i < 4; i++)
		uuid_put_hex(hex + 8 * i, (uint32_t)(w[i / 2] >> (i % 2 ? 0 : 32)));
	memcpy(out, form, sizeof(form));
	memcpy(out, hex, 8);
	memcpy(out + 9, hex + 8, 4);
	memcpy(out + 14, hex + 12, 4);
	memcpy(out + 19, hex + 16, 4);
	memcpy(out + 24, hex + 20, 12);
}
