/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Pipelines without a server, for `sconce pipeline`. `document`: a file with what LOAD would say of
 * the model, JSON. All return exit codes. */

#include <stddef.h>

/* The table of ops, in Markdown. */
int offline_ops(void);
/* The pipeline as a picture in text. */
int offline_show(const char *document);
/* Each file is a request; answers go to standard output, one behind the other. */
int offline_run(const char *document, const char *const *files, size_t n);
