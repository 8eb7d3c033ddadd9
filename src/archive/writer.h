/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Writing model archives as torch-model-archiver does. The same input gives the same bytes: entries
 * are sorted, their times and modes fixed. The manifest's creation date is the exception, unless
 * SOURCE_DATE_EPOCH fixes it, too. Memory does not depend on the size of files.
 */

#include <signal.h>
#include <stdbool.h>

#include "base/buf.h"

struct archive_spec {
	/* All three are needed; of runtime native there is no handler, but a serialized file. */
	const char *model_name, *version, *handler;
	/* NULL or "": none, or TorchServe's default */
	const char *serialized_file, *model_file, *extra_files, *runtime, *export_path, *format;
	const char *requirements_file, *config_file;
	bool force;
	/* Set by a signal: give up. NULL: never. */
	const volatile sig_atomic_t *interrupted;
};

/* Does an engine run its model? Then it has no handler. */
bool archive_spec_is_native(const struct archive_spec *s);
/* 0 or a negative error; then nothing is left behind. `notes` receives lines for people, as
 * TorchServe's tool logs them: "ERROR - …", "WARNING - …". Blocks. */
int archive_write(const struct archive_spec *s, struct buf *notes);
