/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

/*
 * `sconce pull`: brings a model store to what lists say, for init containers and cron. All files
 * are fetched under other names and checked first; only when every sum is right do they take their
 * places, so a failure leaves the store as it was.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "archive/download.h"
#include "archive/pull_list.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/sha256.h"
#include "base/util.h"
#include "base/uuid.h"
#include "cli/printable.h"

#define PULL_PREFIX ".sconce-pull-" /* hidden, so that nobody takes it for an archive */
#define PULL_LIMIT_S 3600
#define PULL_WHY_MAX ((size_t)65536)

struct pull_args {
	const char *into, *allowed, *limit;
	bool prune;
	struct option_list lists;
};

static const struct option rows[] = {
	{ "--into", NULL, OPTION_TEXT, offsetof(struct pull_args, into), "DIR", "the model store",
	  .required = true },
	{ "--allowed", NULL, OPTION_TEXT, offsetof(struct pull_args, allowed), "PATTERNS",
	  "where files may come from, as allowed_urls has it (default: http(s)?://.*)" },
	{ "--limit", NULL, OPTION_TEXT, offsetof(struct pull_args, limit), "SECONDS",
	  "how long a download may take (default: 3600)" },
	{ "--prune", NULL, OPTION_FLAG, offsetof(struct pull_args, prune), NULL,
	  "remove files of the store that are on no list" },
	{ "LIST", NULL, OPTION_OPERANDS, offsetof(struct pull_args, lists), "FILE",
	  "a file with lines 'NAME SHA256 URL'", .required = true },
};

const struct options pull_command = {
	.program = "sconce pull",
	.about = "Fetches the files of lists into a model store. Those that are there with the\n"
		 "right SHA-256 stay; the others are replaced when all have been fetched and\n"
		 "have it. Exit code 1: the store is as it was, or --prune could not remove\n"
		 "what stderr names.\n\n"
		 "s3://BUCKET/KEY is a file of Amazon's S3, or of another store that speaks as\n"
		 "it does. Requests are signed with the keys of Amazon's own variables:\n"
		 "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION and\n"
		 "AWS_ENDPOINT_URL_S3.",
	.rows = rows,
	.n = ARRAY_LEN(rows),
};

/* ---- one file ---- */

static int pull_sum(const char *path, char ret[SHA256_HEX_LEN + 1])
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) ? sha256_fd(fd, ret) : -EINVAL;
}

static bool pull_is_there(const struct pull_item *item, const char *path)
{
	char sum[SHA256_HEX_LEN + 1];

	return pull_sum(path, sum) == 0 && strcmp(sum, item->sum) == 0;
}

/* Nothing can be put in the place of a folder, and that is better known before anything is. */
static bool pull_may_place(const struct pull_item *item, const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0 || !S_ISDIR(st.st_mode))
		return true;
	printable_printf(stderr, "%s: a folder of this name is in its place\n", item->name);
	return false;
}

/* What stands before '?': behind it may be a signature, which is no business of a log. */
static int pull_shown(const char *url)
{
	return (int)strcspn(url, "?#");
}

/* The cause without the address, which has been said; of others, what may be shown. */
static char *pull_cause(const char *message, const char *url)
{
	const char *at = strstr(message, url);
	char *cause = at ? mem_strdup(at + strlen(url)) : mem_printf(": %s", message);
	char *end = strchr(cause, '?');

	if (end)
		memmove(end, end + strcspn(end, " "), strlen(end + strcspn(end, " ")) + 1);
	return cause;
}

static bool pull_fetch(const struct pull_item *item, const struct pull_args *args, uint64_t limit_s)
{
	_cleanup_(freep) char *part = download_part_name(item->fresh);
	const struct s3_account account = s3_account_of_environment();
	_cleanup_(freep) char *address = s3_address(&account, item->url);
	_cleanup_(buf_finish) struct buf why = BUF_INIT(PULL_WHY_MAX);
	struct archive_error err = { 0 };
	const struct download d = {
		.url = address ? address : item->url,
		.s3 = address ? &account : NULL,
		.allowed = args->allowed ? args->allowed : "http(s)?://.*",
		.path = item->fresh,
		.part = part,
		.bytes_max = (uint64_t)1 << 40,
		.limit_s = limit_s,
		.stall_s = 60,
		.rate_min = 1024,
		.progress = -1,
	};
	int r = download_run(&d, &err, &why);

	if (r) {
		_cleanup_(freep) char *cause = pull_cause(buf_cstr(&err.message), d.url);

		printable_printf(stderr, "%s: cannot be fetched from %.*s%s\n", item->name,
				 pull_shown(item->url), item->url, cause);
	}
	buf_finish(&err.message);
	return r == 0;
}

static bool pull_check(const struct pull_item *item)
{
	char sum[SHA256_HEX_LEN + 1];
	int r = pull_sum(item->fresh, sum);

	if (r)
		printable_printf(stderr, "%s: cannot be read again: %s\n", item->name,
				 strerror(-r));
	else if (strcmp(sum, item->sum) != 0)
		printable_printf(stderr,
				 "%s: what %.*s has is not what was wanted: its SHA-256 is %s, not "
				 "%s (%s:%u)\n",
				 item->name, pull_shown(item->url), item->url, sum, item->sum,
				 item->list, item->line);
	else
		return true;
	return false;
}

/* ---- all of them ---- */

static bool pull_prepare(struct pull_item *item, const struct pull_args *args, uint64_t limit_s)
{
	_cleanup_(freep) char *path = mem_printf("%s/%s", args->into, item->name);
	char id[UUID_LEN + 1];

	if (pull_is_there(item, path)) {
		printable_printf(stdout, "%s: is there\n", item->name);
		return true;
	}
	if (!pull_may_place(item, path))
		return false;
	uuid_make(id);
	item->fresh = mem_printf("%s/" PULL_PREFIX "%s", args->into, id);
	return pull_fetch(item, args, limit_s) && pull_check(item);
}

static bool pull_place(struct pull_item *item, const struct pull_args *args)
{
	_cleanup_(freep) char *path = mem_printf("%s/%s", args->into, item->name);

	if (!item->fresh)
		return true;
	if (rename(item->fresh, path) < 0) {
		printable_printf(stderr, "%s: cannot be put into %s: %s\n", item->name, args->into,
				 strerror(errno));
		return false;
	}
	item->fresh = (free(item->fresh), NULL);
	printable_printf(stdout, "%s: fetched\n", item->name);
	return true;
}

static bool pull_all(struct pull_list *l, const struct pull_args *args, uint64_t limit_s)
{
	bool good = true;

	for (size_t i = 0; i < l->n && good; i++)
		good = pull_prepare(&l->items[i], args, limit_s);
	for (size_t i = 0; i < l->n && good; i++)
		good = pull_place(&l->items[i], args);
	for (size_t i = 0; i < l->n; i++)
		if (l->items[i].fresh)
			unlink(l->items[i].fresh);
	return good;
}

/* What others have left who were killed. */
static void pull_clean(const char *into)
{
	DIR *d = opendir(into);

	for (struct dirent *e; d && (e = readdir(d));)
		if (slice_starts(slice_str(e->d_name), SLICE(PULL_PREFIX)))
			unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
}

static void pull_woken(int signal)
{
	(void)signal;
}

/* Others clean it for a moment. Not for ever: it may be our caller who keeps all others out. */
static void pull_share(int fd)
{
	const struct itimerval seconds = { { 1, 0 }, { 1, 0 } }, never = { 0 };
	const struct sigaction woken = { .sa_handler = pull_woken };

	sigaction(SIGALRM, &woken, NULL);
	setitimer(ITIMER_REAL, &seconds, NULL);
	flock(fd, LOCK_SH);
	setitimer(ITIMER_REAL, &never, NULL);
}

/* Several may be at the same store: while one is, what has been fetched stays. Returns a
 * descriptor that is to be kept for as long. */
static int pull_enter(const char *into)
{
	int fd = open(into, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return fd;
	download_clean(into);
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		pull_clean(into);
	pull_share(fd);
	return fd;
}

/* Folders and hidden files are somebody else's. */
static bool pull_prune(const struct pull_list *l, const char *into)
{
	DIR *d = opendir(into);
	bool good = d != NULL;
	struct stat st;

	for (struct dirent *e; d && (e = readdir(d));) {
		if (e->d_name[0] == '.' || pull_list_has(l, slice_str(e->d_name)) ||
		    fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    !S_ISREG(st.st_mode))
			continue;
		if (unlinkat(dirfd(d), e->d_name, 0) == 0) {
			printable_printf(stdout, "%s: removed\n", e->d_name);
			continue;
		}
		if (errno == ENOENT)
			continue;
		good = false;
		printable_printf(stderr, "%s: cannot be removed: %s\n", e->d_name,
				 strerror(errno));
	}
	if (d)
		closedir(d);
	return good;
}

static int pull_read(struct pull_list *l, const struct option_list *paths)
{
	_cleanup_(buf_finish) struct buf why = BUF_INIT(PULL_WHY_MAX);

	for (int i = 0; i < paths->n; i++)
		if (pull_list_read(l, paths->values[i], &why) < 0) {
			printable_printf(stderr, "sconce pull: %s\n", buf_cstr(&why));
			return 2;
		}
	return 0;
}

int pull_main(int argc, char **argv)
{
	struct pull_args args = { 0 };
	struct pull_list list = { 0 };
	_cleanup_(closep) int store = -1;
	uint64_t limit_s = PULL_LIMIT_S;
	int r = options_parse(&pull_command, &args, argc, argv);

	if (r >= 0)
		return r;
	if (args.limit && (!slice_u64(slice_str(args.limit), &limit_s) || !limit_s))
		return options_error(&pull_command, "--limit %s is no number of seconds",
				     args.limit);
	signal(SIGPIPE, SIG_IGN);
	r = pull_read(&list, &args.lists);
	if (!r && (r = file_make_dirs(args.into, 0755)) < 0) {
		printable_printf(stderr, "%s: %s\n", args.into, strerror(-r));
		r = 1;
	}
	if (!r) {
		store = pull_enter(args.into);
		r = pull_all(&list, &args, limit_s) ? 0 : 1;
		if (!r && args.prune && !pull_prune(&list, args.into))
			r = 1;
	}
	pull_list_finish(&list);
	return r || fflush(stdout) == 0 ? r : 1;
}
