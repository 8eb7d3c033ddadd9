/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A library that says it is a version of ONNX Runtime that is known (or what FAKE_ORT_VERSION
 * says), and whose table has other functions in all places: none makes anything.
 */

#include <stdint.h>
#include <stdlib.h>

#define EXPORT __attribute__((visibility("default")))
#define PLACES 512

struct base {
	const void *(*table)(uint32_t version);
	const char *(*version)(void);
};

static void *nothing(void)
{
	return NULL;
}

static const void *fake_table(uint32_t version)
{
	static void *(*table[PLACES])(void);

	(void)version;
	for (int i = 0; i < PLACES; i++)
		table[i] = nothing;
	return table;
}

static const char *fake_version(void)
{
	const char *version = getenv("FAKE_ORT_VERSION");

	return version ? version : "1.31.1";
}

EXPORT const struct base *OrtGetApiBase(void);
EXPORT const struct base *OrtGetApiBase(void)
{
	static const struct base base = { fake_table, fake_version };

	return &base;
}
