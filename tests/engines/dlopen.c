/* SPDX-License-Identifier: Apache-2.0 */
#include <dlfcn.h>

/*
 * OpenVINO's TBB loads a library of its own so that this prefers its own symbols, which sanitizers
 * end the process for: they want theirs to come first. Here, before anybody else's, is a dlopen()
 * that does not.
 */

__attribute__((visibility("default"))) void *dlopen(const char *file, int flags)
{
	void *(*next)(const char *, int);

	*(void **)&next = dlsym(RTLD_NEXT, "dlopen");
	return next(file, flags & ~RTLD_DEEPBIND);
}
