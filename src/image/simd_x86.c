/* SPDX-License-Identifier: Apache-2.0 */
/* x86: a processor says what it has, and the system whether it keeps the registers. */
#include <pthread.h>

#include "image/kernels.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const struct image_kernels *all[5];

static void look(void)
{
	unsigned n = 0;
	bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
		      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");

	if (avx512 && __builtin_cpu_supports("avx512vnni"))
		all[n++] = &image_kernels_vnni;
	if (avx512)
		all[n++] = &image_kernels_avx512;
	if (__builtin_cpu_supports("avx2"))
		all[n++] = &image_kernels_avx2;
	all[n] = &image_kernels_plain;
}

const struct image_kernels *const *image_kernels_all(void)
{
	pthread_once(&once, look);
	return all;
}
