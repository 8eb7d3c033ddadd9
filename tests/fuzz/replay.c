/* SPDX-License-Identifier: Apache-2.0 */

/* Stands in for a fuzzer: feeds every file of the given folders to the target, each in memory of
 * its own size, so that a sanitizer sees a read beyond its end. */
#include <dirent.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int replay_file(const char *path)
{
	_cleanup_(buf_finish) struct buf b = BUF_INIT(16 << 20);
	_cleanup_(freep) uint8_t *exact = NULL;
	int r = file_read(path, &b);

	if (r < 0) {
		fprintf(stderr, "%s: %s\n", path, strerror(-r));
		return r;
	}
	exact = mem_alloc(b.n);
	if (b.n)
		memcpy(exact, b.p, b.n);
	printf("%s: %zu bytes\n", path, b.n);
	fflush(stdout);
	LLVMFuzzerTestOneInput(exact, b.n);
	return 0;
}

static int replay_folder(const char *path, unsigned *files)
{
	DIR *d = opendir(path);
	int r = 0;

	if (!d) {
		perror(path);
		return -1;
	}
	for (struct dirent *e; r == 0 && (e = readdir(d));) {
		_cleanup_(freep) char *file = mem_printf("%s/%s", path, e->d_name);

		if (e->d_name[0] == '.')
			continue;
		r = replay_file(file);
		++*files;
	}
	closedir(d);
	return r;
}

int main(int argc, char **argv)
{
	unsigned files = 0;

	LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
	for (int i = 1; i < argc; i++)
		if (replay_folder(argv[i], &files) < 0)
			return 1;
	/* A corpus that was moved away must not pass for one that was replayed. */
	return argc > 1 && !files;
}
