/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a handler's source tells before it is run. */

#include <stdbool.h>

/* Does it import torch? `handler` as in a manifest: a file of the folder, or one that the package
 * ts has, with an entry point or without. Reads files: for a thread of the pool. */
bool handler_imports_torch(const char *dir, const char *handler);
