/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

/*
 * `sconce logs`: the lines of all logs in the order of their times, those about one request or one
 * model if asked for. The files are read as they are, rotated ones first; --follow goes on with
 * what is written.
 */

#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/util.h"
#include "cli/printable.h"
#include "cli/sources.h"
#include "log/match.h"

#define LOGS_PARTS 64 /* of one log: the file, and older ones (.1, .2 …) */
#define LOGS_PAUSE_MS 200

struct logs_args {
	const char *request, *model, *version, *location;
	bool follow;
};

static const struct option rows[] = {
	{ "--request", NULL, OPTION_TEXT, offsetof(struct logs_args, request), "ID",
	  "lines about this request: x-request-id of its answer" },
	{ "--model", NULL, OPTION_TEXT, offsetof(struct logs_args, model), "MODEL",
	  "lines about this model, or MODEL:VERSION" },
	{ "--version", NULL, OPTION_TEXT, offsetof(struct logs_args, version), "VERSION",
	  "of this version of the model" },
	{ "--follow", "-f", OPTION_FLAG, offsetof(struct logs_args, follow), NULL,
	  "go on with what is written from now on" },
	{ "--location", NULL, OPTION_TEXT, offsetof(struct logs_args, location), "DIR",
	  "folder of the logs (default: log_location, metrics_location of config.properties "
	  "here, or logs)" },
};

const struct options logs_command = {
	.program = "sconce logs",
	.about = "Prints the lines of the server's logs (access, server, models, metrics) in the\n"
		 "order of their times. Exit code 1: there is none.",
	.rows = rows,
	.n = ARRAY_LEN(rows),
};

/* One log: its files, the oldest last, all open, so that rotating them meanwhile does no harm. */
struct logs_reader {
	char *path;
	FILE *parts[LOGS_PARTS];
	unsigned n; /* of which the last is read now */
	char *line; /* the next, if `length` > 0 */
	size_t room;
	ssize_t length;
	char stamp[MATCH_STAMP];
	struct log_trail trail;
};

static const struct {
	const char *name;
	bool metrics;
} logs_names[] = {
	{ "ts_log.log", false },    { "access_log.log", false },   { "model_log.log", false },
	{ "ts_metrics.log", true }, { "model_metrics.log", true },
};

#define LOGS (sizeof(logs_names) / sizeof(*logs_names))

static bool logs_same(FILE *a, FILE *b)
{
	struct stat x, y;

	return fstat(fileno(a), &x) == 0 && fstat(fileno(b), &y) == 0 && x.st_ino == y.st_ino &&
	       x.st_dev == y.st_dev;
}

/* The newest first: what is rotated meanwhile is met again under its next name. */
static void logs_open(struct logs_reader *r)
{
	for (unsigned k = 0; k < LOGS_PARTS && r->n < LOGS_PARTS; k++) {
		_cleanup_(freep) char *old = k ? mem_printf("%s.%u", r->path, k)
					       : mem_strdup(r->path);
		FILE *f = fopen(old, "re");

		if (!f && k)
			return;
		if (f && r->n && logs_same(f, r->parts[r->n - 1]))
			fclose(f);
		else if (f)
			r->parts[r->n++] = f;
	}
}

static void logs_finish(struct logs_reader *r)
{
	while (r->n)
		fclose(r->parts[--r->n]);
	free(r->line);
	free(r->path);
}

/* The newest file has been read to its end. True: there is another under its name by now. */
static bool logs_reopen(struct logs_reader *r)
{
	FILE *f = fopen(r->path, "re");

	if (!f || (r->n && logs_same(f, r->parts[0]))) {
		if (f)
			fclose(f);
		return false;
	}
	if (r->n)
		fclose(r->parts[0]);
	r->parts[0] = f;
	r->n = 1;
	return true;
}

/* A whole line, or the last one without its end if nobody will write that. */
static bool logs_read(struct logs_reader *r, bool follow)
{
	FILE *f = r->parts[r->n - 1];

	clearerr(f);
	r->length = getline(&r->line, &r->room, f);
	if (r->length > 0 && follow && r->n == 1 && r->line[r->length - 1] != '\n') {
		fseeko(f, -(off_t)r->length, SEEK_CUR);
		r->length = 0;
	}
	return r->length > 0;
}

/* The next line that the filter takes. */
static void logs_next(struct logs_reader *r, const struct log_filter *filter, bool follow)
{
	bool fresh = false;

	r->length = 0;
	while (r->n || follow) {
		if (r->n && logs_read(r, follow)) {
			/* What has no time belongs to the line before it. */
			log_stamp(slice_make(r->line, (size_t)r->length), r->stamp);
			if (log_trail_takes(&r->trail, filter,
					    slice_make(r->line, (size_t)r->length)))
				return;
			continue;
		}
		r->length = 0;
		if (r->n > 1)
			fclose(r->parts[--r->n]);
		else if (!follow || fresh || !logs_reopen(r))
			return;
		else
			fresh = true;
	}
}

static void logs_print(const struct logs_reader *r)
{
	printable_document(stdout, slice_make(r->line, (size_t)r->length));
	if (r->line[r->length - 1] != '\n')
		putchar('\n');
}

/* Prints what there is by now, in the order of its times. Returns whether there was any. */
static bool logs_drain(struct logs_reader all[LOGS], const struct log_filter *filter, bool follow)
{
	bool any = false;

	for (size_t i = 0; i < LOGS; i++)
		if (!all[i].length)
			logs_next(&all[i], filter, follow);
	for (;;) {
		struct logs_reader *first = NULL;

		for (size_t i = 0; i < LOGS; i++)
			if (all[i].length &&
			    (!first || memcmp(all[i].stamp, first->stamp, MATCH_STAMP) < 0))
				first = &all[i];
		if (!first)
			return any;
		any = true;
		logs_print(first);
		logs_next(first, filter, follow);
	}
}

static int logs_no_flags(struct settings *s, void *arg, struct buf *why)
{
	(void)s, (void)arg, (void)why;
	return 0;
}

/* Where a server that was started in this folder has its logs. */
static void logs_configured(char **lines, char **numbers)
{
	static const struct sources from = { .flags = logs_no_flags };
	_cleanup_(buf_finish) struct buf unsaid = BUF_INIT((size_t)1 << 20);
	struct settings s;

	settings_init(&s);
	sources_load(&s, &from, &unsaid);
	*lines = mem_strdup(s.log_location ? s.log_location : "logs");
	*numbers = mem_strdup(s.metrics_location ? s.metrics_location : *lines);
	settings_finish(&s);
}

static int logs_run(const struct logs_args *a, const struct log_filter *filter)
{
	_cleanup_(freep) char *lines = NULL, *numbers = NULL;
	struct logs_reader all[LOGS] = { 0 };
	bool any = false, there = false;

	logs_configured(&lines, &numbers);
	for (size_t i = 0; i < LOGS; i++) {
		const char *folder = logs_names[i].metrics ? numbers : lines;

		all[i].path = mem_printf("%s/%s", a->location ? a->location : folder,
					 logs_names[i].name);
		logs_open(&all[i]);
		there |= all[i].n > 0;
	}
	if (there || a->follow)
		any = logs_drain(all, filter, a->follow);
	while (a->follow && fflush(stdout) == 0) {
		poll(NULL, 0, LOGS_PAUSE_MS);
		logs_drain(all, filter, true);
	}
	for (size_t i = 0; i < LOGS; i++)
		logs_finish(&all[i]);
	if (!there)
		printable_printf(stderr,
				 "sconce logs: there are no logs in %s; --location names their "
				 "folder (log_location)\n",
				 a->location ? a->location : lines);
	else if (!any)
		fputs("sconce logs: no line is about that\n", stderr);
	return any ? 0 : 1;
}

int logs_main(int argc, char **argv)
{
	struct logs_args a = { 0 };
	struct log_filter filter;
	int r = options_parse(&logs_command, &a, argc, argv);

	if (r >= 0)
		return r;
	filter = (struct log_filter){ .request = slice_str(a.request),
				      .model = slice_str(a.model),
				      .version = slice_str(a.version) };
	if (filter.version.n && !filter.model.n)
		return options_error(&logs_command, "--version is of a --model");
	if (filter.model.n && !filter.version.n) {
		char *colon = strrchr(a.model, ':');

		if (colon) {
			filter.model.n = (size_t)(colon - a.model);
			filter.version = slice_str(colon + 1);
		}
	}
	return logs_run(&a, &filter);
}
