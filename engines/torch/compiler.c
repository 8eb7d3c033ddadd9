/* SPDX-License-Identifier: Apache-2.0 */
#include "compiler.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kit/kit.h"

/* It is 12 s on a processor of its own. */
#define PATIENCE_MS 600000
#define WORDS_MAX 64
#define OUTPUT_MAX ((size_t)256 << 10)
/* A worker whose time to start is up is killed: what it began is of use to the next one. */
#define FINISH "out=$1 to=$2; shift 2; \"$@\" && chmod 755 \"$out\" && mv -f \"$out\" \"$to\""

extern char **environ;

static bool is_in_path(const char *name)
{
	const char *path = getenv("PATH");
	char file[KIT_PATH_MAX];

	if (strchr(name, '/'))
		return !access(name, X_OK);
	while (path && *path) {
		size_t n = strcspn(path, ":");

		snprintf(file, sizeof(file), "%.*s/%s", (int)n, path, name);
		if (!access(file, X_OK))
			return true;
		path += n + (path[n] == ':');
	}
	return false;
}

/* Its words, cut out of `text`; NULL ends them. Negative: there is none. */
static int choose(char *text, size_t room, char **words)
{
	static const char *const names[] = { "c++", "g++", "clang++" };
	const char *given = getenv("CXX");
	size_t n = 0;
	char *word;

	snprintf(text, room, "%s", given ? given : "");
	while ((word = strsep(&text, " ")))
		if (*word && n + 1 < WORDS_MAX)
			words[n++] = word;
	for (size_t i = 0; !n && i < sizeof(names) / sizeof(*names); i++)
		if (is_in_path(names[i]))
			words[n++] = (char *)(uintptr_t)names[i];
	words[n] = NULL;
	return n && is_in_path(words[0]) ? 0 : -1;
}

/* In a group of its own it outlives ours. */
static int start(char *const *words, int out, const struct compilation *c, pid_t *ret)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;
	int r;

	sigemptyset(&none);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setpgroup(&attributes, 0);
	posix_spawnattr_setflags(&attributes, (short)(POSIX_SPAWN_SETSIGMASK |
						      (c->outlives ? POSIX_SPAWN_SETPGROUP : 0)));
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&actions, out, STDERR_FILENO);
	/* Onto itself: it is not closed. */
	posix_spawn_file_actions_adddup2(&actions, c->lock, c->lock);
	r = posix_spawn(ret, "/bin/sh", &actions, &attributes, words, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	return r ? -1 : 0;
}

/* What it prints, as much as there is room for, until its end. Negative: its time is up. */
static int listen_to(int fd, char *ret, size_t room)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int64_t end = kit_now_ms() + PATIENCE_MS, left;
	char rest[4096];
	size_t n = 0;

	while ((left = end - kit_now_ms()) > 0) {
		int ready = poll(&p, 1, (int)left);
		bool full = n + 1 >= room;
		ssize_t more = -1;

		if (ready > 0)
			more = full ? read(fd, rest, sizeof(rest))
				    : read(fd, ret + n, room - n - 1);
		if (more > 0 && !full)
			n += (size_t)more;
		ret[n] = '\0';
		if (more == 0)
			return 0;
		if (more < 0 && errno != EINTR && ready)
			break;
	}
	return -1;
}

/* "…: error: what" */
static int explain(const char *version, char *output, struct sconce_error *e)
{
	char *at = strstr(output, "error: ");

	if (!at)
		at = output;
	at[strcspn(at, "\n")] = '\0';
	return kit_fail(e, -1, "what sconce needs for PyTorch %s could not be built: %.600s",
			version, *at ? at : "the C++ compiler was ended");
}

static int run(const struct compilation *c, char *const *words, char *output,
	       struct sconce_error *e)
{
	int ends[2], status = 0, r = 0;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return kit_fail(e, -1, "there is no pipe for the C++ compiler: %s",
				strerror(errno));
	if (start(words, ends[1], c, &pid) < 0) {
		close(ends[0]);
		close(ends[1]);
		return kit_fail(e, -1, "the C++ compiler does not start");
	}
	close(ends[1]);
	if (listen_to(ends[0], output, OUTPUT_MAX) < 0) {
		kill(c->outlives ? -pid : pid, SIGKILL);
		r = kit_fail(e, -1, "the C++ compiler took longer than %d minutes for PyTorch %s",
			     PATIENCE_MS / 60000, c->version);
	}
	close(ends[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return !r && status ? explain(c->version, output, e) : r;
}

int compiler_run(const struct compilation *c, struct sconce_error *e)
{
	static char sh[] = "sh", flag[] = "-c", finish[] = FINISH;
	char text[KIT_PATH_MAX], *words[2 * WORDS_MAX], *output;
	size_t n = 0;
	int r;

	words[n++] = sh;
	words[n++] = flag;
	words[n++] = finish;
	words[n++] = sh;
	words[n++] = (char *)(uintptr_t)c->out;
	words[n++] = (char *)(uintptr_t)c->to;
	if (choose(text, sizeof(text), words + n) < 0)
		return kit_fail(e, -1,
				"there is no C++ compiler, which builds once what sconce needs for "
				"PyTorch %s: apt-get install g++",
				c->version);
	output = calloc(1, OUTPUT_MAX);
	if (!output)
		return kit_no_memory(e);
	while (words[n])
		n++;
	for (size_t i = 0; c->arguments[i]; i++)
		words[n++] = (char *)(uintptr_t)c->arguments[i];
	words[n] = NULL;
	r = run(c, words, output, e);
	free(output);
	return r;
}
