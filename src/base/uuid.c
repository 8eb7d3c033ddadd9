/* SPDX-License-Identifier: Apache-2.0 */
#include "base/uuid.h"

#include <stdint.h>
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

static uint64_t uuid_random(void)
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

void uuid_make(char out[UUID_LEN + 1])
{
	static const char hex[] = "0123456789abcdef";
	uint64_t w[2] = { uuid_random(), uuid_random() };
	char *at = out;

	w[0] = (w[0] & ~UINT64_C(0xf000)) | UINT64_C(0x4000);
	w[1] = (w[1] & ~(UINT64_C(3) << 62)) | (UINT64_C(2) << 62);
	for (int i = 0; i < 32; i++) {
		if (i == 8 || i == 12 || i == 16 || i == 20)
			*at++ = '-';
		*at++ = hex[(w[i / 16] >> (60 - 4 * (i % 16))) & 15];
	}
	*at = '\0';
}
