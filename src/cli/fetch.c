/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

/*
 * `sconce fetch`: the short-lived child that downloads an archive. Prints one line of JSON, what
 * happened on the way to its standard error; exit code 0 means that there is such a line.
 */

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "archive/download.h"
#include "archive/error.h"
#include "base/mem.h"
#include "base/slice.h"
#include "wire/json.h"

#define FETCH_WHY_MAX ((size_t)65536)

static bool fetch_number(const char *text, uint64_t *ret)
{
	return slice_u64(slice_str(text), ret) && *ret <= INT64_MAX;
}

static bool fetch_descriptor(const char *text, int *ret)
{
	uint64_t n;

	if (!slice_u64(slice_str(text), &n) || n > INT_MAX)
		return false;
	*ret = (int)n;
	return true;
}

static bool fetch_arguments(struct download *d, int argc, char **argv)
{
	for (int i = 1; i + 1 < argc; i += 2) {
		const char *key = argv[i], *value = argv[i + 1];
		bool good = true;

		if (strcmp(key, "--url") == 0)
			d->url = value;
		else if (strcmp(key, "--into") == 0)
			d->path = value;
		else if (strcmp(key, "--part") == 0)
			d->part = value;
		else if (strcmp(key, "--progress") == 0)
			good = fetch_descriptor(value, &d->progress);
		else if (strcmp(key, "--rate-min") == 0)
			good = fetch_number(value, &d->rate_min);
		else if (strcmp(key, "--allowed") == 0)
			d->allowed = value;
		else if (strcmp(key, "--max-bytes") == 0)
			good = fetch_number(value, &d->bytes_max);
		else if (strcmp(key, "--limit") == 0)
			good = fetch_number(value, &d->limit_s);
		else if (strcmp(key, "--stall") == 0)
			good = fetch_number(value, &d->stall_s);
		else if (strcmp(key, "--s3-sse-kms") == 0)
			d->s3_sse_kms = strcmp(value, "true") == 0;
		else
			good = false;
		if (!good)
			return false;
	}
	return d->url && d->path && strchr(d->path, '/') && d->allowed && argc % 2 == 1;
}

int fetch_main(int argc, char **argv)
{
	struct download d = { .bytes_max = (uint64_t)64 << 30, .limit_s = 3600, .stall_s = 60 };
	_cleanup_(freep) char *part = NULL;
	struct buf out = BUF_INIT(FETCH_WHY_MAX), why = BUF_INIT(FETCH_WHY_MAX);
	struct archive_error err = { 0 };

	if (!fetch_arguments(&d, argc, argv)) {
		fputs("usage: sconce fetch --url URL --into FILE --allowed PATTERNS "
		      "[--max-bytes N] [--limit SECONDS] [--stall SECONDS] "
		      "[--rate-min BYTES] [--part FILE] [--progress FD] [--s3-sse-kms true]\n",
		      stderr);
		return 2;
	}
	if (!d.part)
		d.part = part = download_part_name(d.path);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (download_run(&d, &err, &why) == 0)
		buf_puts(&out, "{\"ok\":true}\n");
	else
		archive_error_write_json(&err, &out);
	if (why.n)
		fwrite(why.p, 1, why.n, stderr);
	fwrite(out.p, 1, out.n, stdout);
	buf_finish(&why);
	buf_finish(&out);
	buf_finish(&err.message);
	return fflush(stdout) == 0 ? 0 : 1;
}
