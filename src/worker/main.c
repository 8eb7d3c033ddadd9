/* SPDX-License-Identifier: Apache-2.0 */

/*
 * sconce-worker: the process in which engines run models. The server starts it with a descriptor
 * of the worker protocol; by hand it tells which engines there are, and whether one takes a model.
 */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/util.h"
#include "worker/engines.h"
#include "worker/offline.h"
#include "worker/session.h"

static int usage(FILE *to, int code)
{
	fputs("usage: sconce-worker --fd N                 (for the server)\n"
	      "       sconce-worker --engines [--python P] [--within SECONDS]\n"
	      "       sconce-worker --prepare ENGINE [--python P] [--cache DIR] [--nice N]\n"
	      "       sconce-worker --check FILE [--engine NAME] [--device cpu|cuda:N] "
	      "[--python P]\n"
	      "       sconce-worker --ops                     (of pipelines, as a table)\n"
	      "       sconce-worker --show DOCUMENT           (its pipeline)\n"
	      "       sconce-worker --run DOCUMENT FILE...    (through its pipeline)\n",
	      to);
	return code;
}

/* When memory runs out, a worker can be replaced; the front cannot. */
static void prefer_to_die(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, "500", 3) < 0)
		fputs("The worker cannot offer itself to the OOM killer.\n", stderr);
	close(fd);
}

static int worker_main(const char *number)
{
	int fd = (int)strtol(number, NULL, 10);

	prefer_to_die();
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	/* Compilers and interpreters that an engine starts have no part in it. */
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	return session_main(fd);
}

/* Commands about pipelines, which are the first argument. Negative: it is none. */
static int offline_main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--ops") == 0)
		return offline_ops();
	if (argc == 3 && strcmp(argv[1], "--show") == 0)
		return offline_show(argv[2]);
	if (argc > 3 && strcmp(argv[1], "--run") == 0)
		return offline_run(argv[2], (const char *const *)argv + 3, (size_t)argc - 3);
	return -1;
}

int main(int argc, char **argv)
{
	const char *fd = NULL, *check = NULL, *engine = "", *device = "cpu", *python = "";
	const char *within = "30", *prepare = NULL, *cache = "", *nicer = "0";
	bool list = false;
	int r = offline_main(argc, argv);

	if (r >= 0)
		return r;
	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;
		const char **to = strcmp(argv[i], "--fd") == 0        ? &fd
				  : strcmp(argv[i], "--check") == 0   ? &check
				  : strcmp(argv[i], "--engine") == 0  ? &engine
				  : strcmp(argv[i], "--device") == 0  ? &device
				  : strcmp(argv[i], "--python") == 0  ? &python
				  : strcmp(argv[i], "--within") == 0  ? &within
				  : strcmp(argv[i], "--prepare") == 0 ? &prepare
				  : strcmp(argv[i], "--cache") == 0   ? &cache
				  : strcmp(argv[i], "--nice") == 0    ? &nicer
								      : NULL;

		if (strcmp(argv[i], "--engines") == 0)
			list = true;
		else if (strcmp(argv[i], "--help") == 0)
			return usage(stdout, 0);
		else if (!to || !value)
			return usage(stderr, 2);
		else
			*to = argv[++i];
	}
	if (fd)
		return worker_main(fd);
	if (prepare) {
		setpriority(PRIO_PROCESS, 0, (int)strtol(nicer, NULL, 10));
		return engines_prepare(prepare, python, cache);
	}
	if (list)
		return engines_list(python, (unsigned)MAX(strtol(within, NULL, 10), 1));
	return check ? engines_check(check, engine, device, python) : usage(stderr, 2);
}
