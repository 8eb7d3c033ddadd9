/* SPDX-License-Identifier: Apache-2.0 */
/* Which kernels are used: the best ones, or those that the environment names. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "image/kernels.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const struct image_kernels *chosen;

static void say_unknown(const char *wanted)
{
	fprintf(stderr, "SCONCE_SIMD is \"%s\", which this processor cannot run; it can:", wanted);
	for (const struct image_kernels *const *k = image_kernels_all(); *k; k++)
		fprintf(stderr, " %s", (*k)->name);
	fprintf(stderr, "; using %s\n", chosen->name);
}

static void choose(void)
{
	const struct image_kernels *const *all = image_kernels_all();
	const char *wanted = getenv("SCONCE_SIMD");

	chosen = all[0];
	if (!wanted || !*wanted)
		return;
	for (unsigned i = 0; all[i]; i++)
		if (!strcmp(all[i]->name, wanted)) {
			chosen = all[i];
			return;
		}
	say_unknown(wanted);
}

const struct image_kernels *image_kernels(void)
{
	pthread_once(&once, choose);
	return chosen;
}
