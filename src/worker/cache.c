/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/cache.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "worker/model.h"

#define CACHE_LINE_MAX (PATH_MAX + 256)

static char *cache_default(void)
{
	const char *own = getenv("SCONCE_CACHE_DIR"), *shared = getenv("XDG_CACHE_HOME");
	const char *home = getenv("HOME");

	if (own && *own)
		return mem_strdup(own);
	if (shared && *shared == '/')
		return mem_printf("%s/sconce", shared);
	/* Where nobody lives there is nothing to be made. */
	return home && *home == '/' && home[1] ? mem_printf("%s/.cache/sconce", home) : NULL;
}

static void cache_complain(const char *path, const char *place, const char *why)
{
	char line[CACHE_LINE_MAX];

	snprintf(line, sizeof(line),
		 "%.200s is not used as a cache: %.300s %s; cache_dir names "
		 "another folder",
		 path, place, why);
	model_log(NULL, 2, line);
}

/* What others cannot write to, nor rename what is in it. A group that is our own has nobody else in
 * it, as systems are set up whose files are writable for it. */
static const char *cache_danger(const struct stat *st)
{
	bool sticky = st->st_mode & S_ISVTX;

	if (!S_ISDIR(st->st_mode))
		return "is no folder";
	if (st->st_uid != geteuid() && st->st_uid != 0)
		return "belongs to another user";
	if ((st->st_mode & S_IWOTH) && !sticky)
		return "can be written to by every user";
	if ((st->st_mode & S_IWGRP) && !sticky && st->st_gid != getegid() && st->st_gid != 0)
		return "can be written to by a group of users";
	return NULL;
}

/* `real`: without links. Every folder on the way to it decides what it is. */
static bool cache_is_safe(const char *path, char *real)
{
	struct stat st;
	const char *why;

	if (stat(real, &st) < 0)
		return false;
	/* In a sticky folder others may not replace files, but add some that are missing yet. */
	if ((st.st_mode & S_IWOTH)) {
		cache_complain(path, real, "can be written to by every user");
		return false;
	}
	for (char *end = real + strlen(real);; end = strrchr(real, '/')) {
		*end = '\0';
		if (stat(*real ? real : "/", &st) < 0)
			return false;
		why = cache_danger(&st);
		if (why) {
			cache_complain(path, *real ? real : "/", why);
			return false;
		}
		if (!*real)
			return true;
	}
}

char *cache_open(const char *given)
{
	_cleanup_(freep) char *path = *given ? mem_strdup(given) : cache_default();
	char real[PATH_MAX], whole[PATH_MAX];
	int r;

	if (!path)
		return NULL;
	r = file_make_dirs(path, 0700);
	if (!r && !realpath(path, real))
		r = -errno;
	if (r) {
		/* Who has not asked for one need not hear that there is none. */
		if (*given)
			cache_complain(path, "it", strerror(-r));
		return NULL;
	}
	memcpy(whole, real, sizeof(whole));
	return cache_is_safe(path, real) ? mem_strdup(whole) : NULL;
}
