/* SPDX-License-Identifier: Apache-2.0 */
#include "kit/kit.h"

/*
 * Where Python finds packages is known only to Python: environments, .pth files, PYTHONPATH and the
 * habits of distributions make its list. But nearly always what is looked for is in a folder beside
 * the interpreter, and looking there is a thousand times cheaper than asking.
 */

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_MS 20000
#define ANSWER_MAX ((size_t)64 << 10)
#define CACHE_NAME "python-path"

extern char **environ;

struct search {
	const char *pattern;
	int (*take)(void *arg, const char *path);
	void *arg;
};

/* ---- folders ---- */

/* `folder` may have characters that glob() knows; `inner` is meant to. */
static int search_folder(const struct search *s, const char *folder, const char *inner)
{
	char pattern[2 * KIT_PATH_MAX];
	glob_t found = { 0 };
	size_t n = 0;
	int r = -1;

	for (; *folder && n + 2 < KIT_PATH_MAX; folder++) {
		if (strchr("*?[\\", *folder))
			pattern[n++] = '\\';
		pattern[n++] = *folder;
	}
	snprintf(pattern + n, sizeof(pattern) - n, "%s/%s", inner, s->pattern);
	if (glob(pattern, 0, NULL, &found) == 0)
		for (size_t i = 0; i < found.gl_pathc && r < 0; i++)
			r = s->take(s->arg, found.gl_pathv[i]);
	globfree(&found);
	return r;
}

/* Environments have the first, distributions the others. */
static int search_beside(const struct search *s, const char *python)
{
	static const char *const inner[] = {
		"/lib/python3*/site-packages",
		"/lib64/python3*/site-packages",
		"/local/lib/python3*/dist-packages",
		"/lib/python3*/dist-packages",
	};
	char prefix[KIT_PATH_MAX + 8];
	int r = -1;

	snprintf(prefix, sizeof(prefix), "%.*s/..", (int)(strrchr(python, '/') - python), python);
	for (size_t i = 0; i < sizeof(inner) / sizeof(*inner) && r < 0; i++)
		r = search_folder(s, prefix, inner[i]);
	return r;
}

/* Lines of folders; they are cut up. */
static int search_lines(const struct search *s, char *lines)
{
	char *line;
	int r = -1;

	while (r < 0 && (line = strsep(&lines, "\n")))
		if (*line == '/')
			r = search_folder(s, line, "");
	return r;
}

/* ---- the interpreter ---- */

/* As a shell finds it. Negative: there is none. */
static int python_file(const char *name, char *ret, size_t room)
{
	const char *path = getenv("PATH");

	if (strchr(name, '/'))
		return snprintf(ret, room, "%s", name) < (int)room && !access(ret, X_OK) ? 0 : -1;
	while (path && *path) {
		size_t n = strcspn(path, ":");

		snprintf(ret, room, "%.*s/%s", (int)n, path, name);
		if (*ret == '/' && !access(ret, X_OK))
			return 0;
		path += n + (path[n] == ':');
	}
	return -1;
}

/* All that comes until the end. Negative: too much, or too late. */
static ssize_t read_all(int fd, char *ret, size_t room)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int64_t end = kit_now_ms() + PATIENCE_MS, left;
	size_t n = 0;

	while ((left = end - kit_now_ms()) > 0 && n + 1 < room) {
		int ready = poll(&p, 1, (int)left);
		ssize_t more = ready > 0 ? read(fd, ret + n, room - n - 1) : -1;

		if (more > 0) {
			n += (size_t)more;
		} else if (more == 0) {
			ret[n] = '\0';
			return (ssize_t)n;
		} else if (!ready || errno != EINTR) {
			break;
		}
	}
	return -1;
}

static int spawn(const char *python, int out, pid_t *ret)
{
	static char code[] = "import sys\nprint('\\n'.join(sys.path))";
	static char flag[] = "-c";
	char *const arguments[] = { (char *)(uintptr_t)python, flag, code, NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;
	int r;

	sigemptyset(&none);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	r = posix_spawn(ret, python, &actions, &attributes, arguments, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	return r ? -1 : 0;
}

/* Its list of folders, a line each. */
static int python_ask(const char *python, char *ret, size_t room)
{
	int ends[2], status = 0;
	ssize_t n = -1;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	if (spawn(python, ends[1], &pid) == 0) {
		close(ends[1]);
		n = read_all(ends[0], ret, room);
		if (n < 0)
			kill(pid, SIGKILL);
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
	} else {
		close(ends[1]);
	}
	close(ends[0]);
	return n > 0 && !status ? 0 : -1;
}

/* ---- what it has answered before ---- */

/* The first line of the cache: another interpreter in the same place is another. */
static int cache_key(const char *python, char *ret, size_t room)
{
	struct stat st;

	if (stat(python, &st) < 0)
		return -1;
	return snprintf(ret, room, "%s %lld %lld\n", python, (long long)st.st_mtime,
			(long long)st.st_ino) < (int)room
		       ? 0
		       : -1;
}

static int cache_path(const struct sconce_host *host, char *ret, size_t room)
{
	if (!SCONCE_HAS(host, cache) || !host->cache || !*host->cache)
		return -1;
	return snprintf(ret, room, "%s/" CACHE_NAME, host->cache) < (int)room ? 0 : -1;
}

static int cache_get(const struct sconce_host *host, const char *key, char *ret, size_t room)
{
	char path[KIT_PATH_MAX];
	size_t n = 0;
	FILE *f;

	if (cache_path(host, path, sizeof(path)) < 0 || !(f = fopen(path, "re")))
		return -1;
	n = fread(ret, 1, room - 1, f);
	fclose(f);
	ret[n] = '\0';
	if (strncmp(ret, key, strlen(key)) != 0)
		return -1;
	memmove(ret, ret + strlen(key), n - strlen(key) + 1);
	return 0;
}

/* Whole or not at all; that it could not be kept harms nobody. */
static void cache_put(const struct sconce_host *host, const char *key, const char *lines)
{
	char path[KIT_PATH_MAX], temporary[KIT_PATH_MAX + 16];
	FILE *f;
	int fd;

	if (cache_path(host, path, sizeof(path)) < 0)
		return;
	snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path);
	fd = mkostemp(temporary, O_CLOEXEC);
	f = fd < 0 ? NULL : fdopen(fd, "w");
	if (!f) {
		if (fd >= 0)
			close(fd);
		return;
	}
	fprintf(f, "%s%s", key, lines);
	if (fclose(f) || rename(temporary, path) < 0)
		unlink(temporary);
}

static int search_asking(const struct search *s, const struct sconce_host *host, const char *python)
{
	char key[KIT_PATH_MAX + 64], *lines = malloc(ANSWER_MAX);
	int r = -1;

	if (lines && cache_key(python, key, sizeof(key)) == 0) {
		if (cache_get(host, key, lines, ANSWER_MAX) == 0)
			r = search_lines(s, lines);
		if (r < 0 && python_ask(python, lines, ANSWER_MAX) == 0) {
			cache_put(host, key, lines);
			r = search_lines(s, lines);
		}
	}
	free(lines);
	return r;
}

int package_find(const struct sconce_host *host, const char *pattern,
		 int (*take)(void *arg, const char *path), void *arg)
{
	const struct search s = { pattern, take, arg };
	char python[KIT_PATH_MAX];

	if (!host->python || !*host->python ||
	    python_file(host->python, python, sizeof(python)) < 0)
		return -1;
	if (search_beside(&s, python) == 0)
		return 0;
	return search_asking(&s, host, python);
}
