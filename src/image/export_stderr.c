/* SPDX-License-Identifier: Apache-2.0 */

/*
 * libpng and libjpeg, as they are made for linking into executables, expect `stderr` at an address
 * that a shared library cannot have. The linker gives them this one instead (--wrap=stderr).
 */

#include <stdio.h>

extern FILE *__real_stderr;
extern FILE *__wrap_stderr;
__attribute__((visibility("hidden"))) FILE *__wrap_stderr;

__attribute__((constructor)) static void export_stderr(void)
{
	__wrap_stderr = __real_stderr;
}
