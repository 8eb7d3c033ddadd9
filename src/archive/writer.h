/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Writing model archives as torch-model-archiver does. The same input gives the same bytes: entries
 * are sorted, their times fixed, and the creation date in the manifest honours SOURCE_DATE_EPOCH.
 */

#include <stdbool.h>

#include "base/buf.h"

struct archive_spec {
	const char *model_name, *version, *handler;
	const char *serialized_file, *model_file, *extra_files, *runtime, *export_path, *format;
	const char *requirements_file, *config_file;
	bool force;
};

/* 0, or a negative error with a sentence in `why`; then nothing is left behind. */
int archive_write(const struct archive_spec *s, struct buf *why);
