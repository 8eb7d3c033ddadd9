/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "archive/archive.h"
#include "base/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Bytes as an archive, unpacked under small limits into a folder that must be gone afterwards when
 * it is refused. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct archive_limits limits = { 1 << 20, 64, 100 };
	char dir[] = "/tmp/sconce-fuzz-XXXXXX", source[64], target[64];
	struct archive_error err = { 0 };
	struct manifest m;
	struct region r;
	struct slice where;
	FILE *f;

	if (!mkdtemp(dir))
		return 0;
	snprintf(source, sizeof(source), "%s/in.mar", dir);
	snprintf(target, sizeof(target), "%s/out", dir);
	f = fopen(source, "w");
	if (f) {
		fwrite(data, 1, n, f);
		fclose(f);
		region_init(&r);
		if (archive_unpack(&r, source, target, &limits, SLICE("m"), &m, &where, &err) < 0 &&
		    access(target, F_OK) == 0)
			__builtin_trap();
		buf_finish(&err.message);
		region_finish(&r);
	}
	file_remove_tree(dir);
	return 0;
}
