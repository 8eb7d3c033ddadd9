/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

/*
 * `sconce unpack`: the short-lived child in which archives are read. Prints one line of JSON; exit
 * code 0 means that there is one, whether unpacking worked or not.
 */

#include <assert.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "archive/error.h"
#include "base/slice.h"
#include "base/util.h"
#include "wire/json.h"

/* Twice what manifest and model-config.yaml may have, as texts in JSON, and what is said of them.
 */
#define UNPACK_OUTPUT_MAX ((size_t)16 << 20)

struct unpack_arguments {
	const char *source, *into, *name_hint;
	struct archive_limits limits;
};

static bool unpack_number(const char *text, uint64_t *ret)
{
	return text && slice_u64(slice_str(text), ret);
}

static bool unpack_descriptor(const char *text, int *ret)
{
	uint64_t n = 0;
	bool good = unpack_number(text, &n) && n <= INT_MAX;

	*ret = good ? (int)n : 0;
	return good;
}

static bool unpack_arguments(struct unpack_arguments *a, int argc, char **argv)
{
	for (int i = 1; i + 1 < argc; i += 2) {
		const char *key = argv[i], *value = argv[i + 1];
		bool good = true;

		if (strcmp(key, "--source") == 0)
			a->source = value;
		else if (strcmp(key, "--into") == 0)
			a->into = value;
		else if (strcmp(key, "--name-hint") == 0)
			a->name_hint = value;
		else if (strcmp(key, "--max-bytes") == 0)
			good = unpack_number(value, &a->limits.bytes);
		else if (strcmp(key, "--max-entries") == 0)
			good = unpack_number(value, &a->limits.entries);
		else if (strcmp(key, "--max-ratio") == 0)
			good = unpack_number(value, &a->limits.ratio);
		else if (strcmp(key, "--progress") == 0)
			good = unpack_descriptor(value, &a->limits.progress);
		else
			good = false;
		if (!good)
			return false;
	}
	return a->source && a->into && argc % 2 == 1;
}

/* What is in the archive may try to eat everything: it gets bounded shares. Of time, too, by the
 * front, which ends us. */
static void unpack_confine(const struct archive_limits *limits)
{
	struct rlimit none = { 0, 0 };
	struct rlimit file = { limits->bytes, limits->bytes };

	setrlimit(RLIMIT_CORE, &none);
	setrlimit(RLIMIT_FSIZE, &file);
	signal(SIGXFSZ, SIG_IGN);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

int unpack_main(int argc, char **argv)
{
	struct unpack_arguments a = {
		.limits = { .bytes = (uint64_t)64 << 30, .entries = 100000, .ratio = 100 }
	};
	struct buf out = BUF_INIT(UNPACK_OUTPUT_MAX);
	struct archive_error err = { 0 };
	struct region region;
	struct manifest m;
	struct slice dir;

	if (!unpack_arguments(&a, argc, argv)) {
		fputs("usage: sconce unpack --source ARCHIVE --into NEW_FOLDER [--max-bytes N] "
		      "[--max-entries N] [--max-ratio N] [--progress FD] [--name-hint NAME]\n",
		      stderr);
		return 2;
	}
	unpack_confine(&a.limits);
	region_init(&region);
	if (archive_unpack(&region, a.source, a.into, &a.limits, slice_str(a.name_hint), &m, &dir,
			   &err) < 0) {
		archive_error_write_json(&err, &out);
	} else {
		buf_puts(&out, "{\"ok\":true,\"dir\":");
		json_put_string(&out, dir);
		buf_puts(&out, ",\"manifest\":");
		manifest_write_json(&m, &out);
		buf_puts(&out, "}\n");
	}
	assert(!buf_overflowed(&out));
	fwrite(out.p, 1, out.n, stdout);
	buf_finish(&out);
	buf_finish(&err.message);
	region_finish(&region);
	return fflush(stdout) == 0 ? 0 : 1;
}
