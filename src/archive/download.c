/* SPDX-License-Identifier: Apache-2.0 */
#include "archive/download.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "archive/allowed.h"
#include "archive/error.h"
#include "base/clock.h"
#include "base/curl.h"
#include "base/mem.h"
#include "base/util.h"
#include "base/uuid.h"

#define DOWNLOAD_HOPS 5
#define DOWNLOAD_TRIES 5
#define DOWNLOAD_CONNECT_S 30L
#define DOWNLOAD_TELL ((uint64_t)1 << 20)
#define DOWNLOAD_PAGE_MAX ((uint64_t)65536)
#define DOWNLOAD_HEADER_MAX ((size_t)512)
#define DOWNLOAD_LOCATION_MAX ((size_t)8192)
#define DOWNLOAD_SIGNED_MAX ((size_t)16384)
#define DOWNLOAD_LIMIT_MAX ((uint64_t)1 << 30) /* seconds */
#define DOWNLOAD_MESSAGE_MAX ((size_t)4096)
#define FAILED "DownloadArchiveException"

struct downloading {
	const struct download *d;
	const struct curl *curl;
	CURL *easy;
	struct archive_error *err;
	struct buf *why;
	uint64_t deadline_ns;
	int fd;
	uint64_t bytes;       /* that it has */
	uint64_t from, told;  /* had when this request began; when it was last told */
	struct buf validator; /* strong ETag of the file they belong to; empty: it has none */
	struct {              /* the response at hand */
		long status;  /* 0: nothing of its body has been seen */
		struct buf tag, location;
		uint64_t from, total; /* of Content-Range; UINT64_MAX: not said */
		uint64_t page;        /* bytes of a body that is no file's */
		bool misplaced;       /* is not what was asked for */
	} got;
	bool too_large, refused;
	int disk; /* errno of a write */
};

/* TorchServe's sentence, and the cause behind it. */
static int download_fail(struct downloading *l, const char *fmt, ...) _printf_(2, 3);

static int download_fail(struct downloading *l, const char *fmt, ...)
{
	char cause[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(cause, sizeof(cause), fmt, args);
	va_end(args);
	return archive_fail(l->err, 400, FAILED, "Failed to download archive from: %s%s", l->d->url,
			    cause);
}

/* ---- what arrives ---- */

static long download_status(struct downloading *l)
{
	long status = 0;

	l->curl->easy_getinfo(l->easy, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

/* "bytes 100-199/1000", "bytes 100-199" and "*" for what is not known. What is anything else says
 * nothing. */
static void download_range(struct downloading *l, struct slice value)
{
	struct slice from, to;
	uint64_t n;

	l->got.from = l->got.total = UINT64_MAX;
	if (!slice_istarts(value, SLICE("bytes ")))
		return;
	value = slice_trim(slice_make(value.p + 6, value.n - 6));
	to = slice_cut(&value, '/');
	from = slice_cut(&to, '-');
	if (slice_u64(slice_trim(value), &n))
		l->got.total = n;
	if (slice_u64(slice_trim(from), &n))
		l->got.from = n;
}

static size_t download_header(char *p, size_t size, size_t n, void *arg)
{
	struct downloading *l = arg;
	struct slice value = slice_make(p, size * n), name;

	/* There may be several heads: of a proxy, of "100 Continue". The last one counts. */
	if (slice_starts(value, SLICE("HTTP/"))) {
		buf_clear(&l->got.tag);
		buf_clear(&l->got.location);
		l->got.from = l->got.total = UINT64_MAX;
		return size * n;
	}
	name = slice_cut(&value, ':');
	value = slice_trim(value);
	while (value.n && (value.p[value.n - 1] == '\r' || value.p[value.n - 1] == '\n'))
		value.n--;
	/* A weak tag does not promise the same bytes. */
	if (slice_ieq(name, SLICE("etag")) && slice_starts(value, SLICE("\""))) {
		buf_clear(&l->got.tag);
		buf_put_slice(&l->got.tag, value);
	} else if (slice_ieq(name, SLICE("location"))) {
		buf_clear(&l->got.location);
		buf_put_slice(&l->got.location, value);
	} else if (slice_ieq(name, SLICE("content-range"))) {
		download_range(l, value);
	}
	return size * n;
}

static void download_tell(struct downloading *l)
{
	curl_off_t length = -1;

	if (l->bytes - l->told < DOWNLOAD_TELL && l->told)
		return;
	/* Of a part that is asked for, the length is that of the rest. */
	l->curl->easy_getinfo(l->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
	l->told = l->bytes;
	progress_tell(l->d->progress, l->bytes, length > 0 ? l->from + (uint64_t)length : 0);
}

/* A server that starts from the beginning again is believed: the file may have changed. */
static bool download_restart(struct downloading *l)
{
	if (!l->bytes)
		return true;
	l->bytes = l->from = l->told = 0;
	l->disk = ftruncate(l->fd, 0) < 0 || lseek(l->fd, 0, SEEK_SET) < 0 ? errno : 0;
	return !l->disk;
}

static bool download_same_file(const struct downloading *l)
{
	return !l->got.tag.n || slice_eq(buf_slice(&l->got.tag), buf_slice(&l->validator));
}

/* The head is there: what follows is the whole, or goes on where the file ends. False: neither. */
static bool download_begin(struct downloading *l)
{
	l->got.status = download_status(l);
	if (l->got.status == 200) {
		buf_clear(&l->validator);
		buf_put_slice(&l->validator, buf_slice(&l->got.tag));
		return download_restart(l);
	}
	if (l->got.status == 206)
		l->got.misplaced = !l->bytes || l->got.from != l->bytes || !download_same_file(l);
	return !l->got.misplaced;
}

static size_t download_write(char *p, size_t size, size_t n, void *arg)
{
	struct downloading *l = arg;
	size_t left = size * n;

	if (l->got.status == 0 && !download_begin(l))
		return 0;
	if (l->got.status != 200 && l->got.status != 206) {
		/* A page that explains a failure, or points elsewhere: nobody reads it. */
		l->got.page += left;
		return l->got.page > DOWNLOAD_PAGE_MAX ? 0 : left;
	}
	l->too_large = left > l->d->bytes_max - l->bytes;
	while (left && !l->too_large) {
		ssize_t done = write(l->fd, p, left);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0) {
			l->disk = errno;
			return 0;
		}
		l->bytes += (uint64_t)done;
		p += done;
		left -= (size_t)done;
	}
	download_tell(l);
	return l->too_large ? 0 : size * n;
}

/* ---- one request ---- */

static void download_prepare(struct downloading *l, const char *url, struct curl_slist *headers)
{
	const struct curl *c = l->curl;
	uint64_t now_ns = clock_now_ns();
	uint64_t left_ns = l->deadline_ns > now_ns ? l->deadline_ns - now_ns : NS_PER_MS;

	c->easy_setopt(l->easy, CURLOPT_URL, url);
	c->easy_setopt(l->easy, CURLOPT_PROTOCOLS_STR, "http,https");
	c->easy_setopt(l->easy, CURLOPT_FOLLOWLOCATION, 0L);
	c->easy_setopt(l->easy, CURLOPT_NOSIGNAL, 1L);
	c->easy_setopt(l->easy, CURLOPT_CONNECTTIMEOUT, DOWNLOAD_CONNECT_S);
	c->easy_setopt(l->easy, CURLOPT_TIMEOUT_MS, (long)MAX(left_ns / NS_PER_MS, (uint64_t)1));
	c->easy_setopt(l->easy, CURLOPT_LOW_SPEED_LIMIT, (long)MAX(l->d->rate_min, 1));
	c->easy_setopt(l->easy, CURLOPT_LOW_SPEED_TIME, (long)l->d->stall_s);
	c->easy_setopt(l->easy, CURLOPT_USERAGENT, "sconce/" SCONCE_VERSION);
	c->easy_setopt(l->easy, CURLOPT_HTTPHEADER, headers);
	c->easy_setopt(l->easy, CURLOPT_WRITEFUNCTION, download_write);
	c->easy_setopt(l->easy, CURLOPT_WRITEDATA, l);
	c->easy_setopt(l->easy, CURLOPT_HEADERFUNCTION, download_header);
	c->easy_setopt(l->easy, CURLOPT_HEADERDATA, l);
	c->easy_setopt(l->easy, CURLOPT_RANGE, NULL);
}

/* A signature is for one place: who sends us elsewhere gets none. */
static struct curl_slist *download_sign(struct downloading *l, const char *url)
{
	_cleanup_(buf_finish) struct buf lines = BUF_INIT(DOWNLOAD_SIGNED_MAX);
	struct curl_slist *headers = NULL;
	struct slice rest;

	if (!l->d->s3 || strcmp(url, l->d->url) != 0)
		return NULL;
	s3_sign(l->d->s3, url, time(NULL), &lines);
	rest = buf_slice(&lines);
	while (rest.n) {
		_cleanup_(freep) char *line = slice_dup(slice_cut(&rest, '\n'));

		headers = l->curl->slist_append(headers, line);
	}
	return headers;
}

static struct curl_slist *download_headers(struct downloading *l, const char *url, char range[48])
{
	struct curl_slist *headers = download_sign(l, url);

	if (l->d->s3_sse_kms)
		headers = l->curl->slist_append(headers, "x-amz-server-side-encryption: aws:kms");
	if (!l->bytes || !l->validator.n)
		return headers;
	_cleanup_(freep) char *same = mem_printf("If-Range: %s", buf_cstr(&l->validator));

	snprintf(range, 48, "%llu-", (unsigned long long)l->bytes);
	l->curl->easy_setopt(l->easy, CURLOPT_RANGE, range);
	return l->curl->slist_append(headers, same);
}

/* The response has ended as it should; has the file? A server may send less than was asked for. */
static CURLcode download_whole(struct downloading *l)
{
	/* Nothing is missing behind what is there: only its end was not seen. */
	if (l->got.status == 416 && l->bytes && l->got.total == l->bytes && download_same_file(l))
		l->got.status = 206;
	if (l->got.status != 206 || l->got.misplaced || l->got.total == UINT64_MAX)
		return CURLE_OK;
	l->got.misplaced = l->bytes > l->got.total;
	return l->bytes == l->got.total ? CURLE_OK : CURLE_PARTIAL_FILE;
}

static CURLcode download_request(struct downloading *l, const char *url)
{
	struct curl_slist *headers;
	char range[48];
	CURLcode r;

	l->got.status = 0;
	l->got.misplaced = false;
	l->got.page = 0;
	l->from = l->bytes;
	download_prepare(l, url, NULL);
	headers = download_headers(l, url, range);
	l->curl->easy_setopt(l->easy, CURLOPT_HTTPHEADER, headers);
	r = l->curl->easy_perform(l->easy);
	l->curl->slist_free_all(headers);
	if (l->got.page > DOWNLOAD_PAGE_MAX)
		r = CURLE_OK; /* its head was all that counts */
	/* An empty body: what was there before is not of this file. */
	if (r == CURLE_OK && !l->got.status)
		download_begin(l);
	return r == CURLE_OK ? download_whole(l) : r;
}

/* Where the response leads; NULL: nowhere. libcurl knows, too, but only when it has read the page
 * to its end. */
static char *download_target(struct downloading *l, const char *url)
{
	const struct curl *c = l->curl;
	const unsigned flags = CURLU_NON_SUPPORT_SCHEME | CURLU_URLENCODE;
	char *target = NULL, *kept = NULL;
	CURLU *u;

	if (l->got.status < 300 || l->got.status >= 400 || !l->got.location.n)
		return NULL;
	u = c->url();
	if (u && !c->url_set(u, CURLUPART_URL, url, flags) &&
	    !c->url_set(u, CURLUPART_URL, buf_cstr(&l->got.location), flags) &&
	    !c->url_get(u, CURLUPART_URL, &target, 0))
		kept = mem_strdup(target);
	c->free(target);
	c->url_cleanup(u);
	return kept;
}

/* Follows redirects by hand: each target has to be allowed, too. */
static CURLcode download_follow(struct downloading *l)
{
	char *url = mem_strdup(l->d->url), *next;
	CURLcode r = CURLE_OK;

	for (unsigned hop = 0; hop <= DOWNLOAD_HOPS; hop++) {
		if (!url_allowed(l->d->allowed, url)) {
			l->refused = true;
			archive_fail(l->err, 404, "ModelNotFoundException",
				     "Given URL %s does not match any allowed URL(s)", url);
			break;
		}
		r = download_request(l, url);
		next = r == CURLE_OK ? download_target(l, url) : NULL;
		if (!next)
			break;
		buf_printf(l->why, "%s redirects to %s\n", url, next);
		free(url);
		url = next;
	}
	free(url);
	return r;
}

/* ---- until it is there ---- */

static bool download_may_go_on(const struct downloading *l, CURLcode r)
{
	bool broke = r == CURLE_PARTIAL_FILE || r == CURLE_RECV_ERROR || r == CURLE_GOT_NOTHING ||
		     r == CURLE_OPERATION_TIMEDOUT || r == CURLE_HTTP2_STREAM;

	return broke && !l->got.misplaced && !l->too_large && !l->disk && !l->refused &&
	       clock_now_ns() < l->deadline_ns;
}

static int download_verdict(struct downloading *l, CURLcode r)
{
	if (l->refused)
		return -EINVAL;
	if (l->too_large)
		return download_fail(l, ": it is larger than max_archive_size allows");
	if (l->disk)
		return archive_fail(l->err, l->disk == ENOSPC || l->disk == EDQUOT ? 507 : 500,
				    "InternalServerException", "Failed to save model: %s: %s",
				    strrchr(l->d->path, '/') + 1, strerror(l->disk));
	if (l->got.misplaced)
		return download_fail(l, ". The server sent another part than was asked for");
	if (r == CURLE_OPERATION_TIMEDOUT)
		return download_fail(l, ". It took longer than download_timeout, "
					"download_stall_timeout and download_rate_min allow");
	if (r != CURLE_OK)
		return download_fail(l, ". %s", l->curl->easy_strerror(r));
	if (l->got.status != 200 && l->got.status != 206)
		return download_fail(l, ". The server answered %ld", l->got.status);
	return 0;
}

static int download_fetch(struct downloading *l)
{
	uint64_t furthest = 0;
	CURLcode r = CURLE_OK;

	for (unsigned i = 0; i < DOWNLOAD_TRIES; i++) {
		r = download_follow(l);
		if (l->got.misplaced && l->bytes) {
			buf_printf(l->why, "%s: another part than was asked for; starting again\n",
				   l->d->url);
			buf_clear(&l->validator);
			furthest = 0;
			if (!download_restart(l))
				break;
			continue;
		}
		/* Twice to the same place is no accident. */
		if (!download_may_go_on(l, r) || (i && l->bytes <= furthest))
			break;
		furthest = l->bytes;
		buf_printf(l->why, "%s after %llu bytes: %s; trying again\n", l->d->url,
			   (unsigned long long)l->bytes, l->curl->easy_strerror(r));
		if (!l->validator.n && !download_restart(l))
			break;
	}
	return download_verdict(l, r);
}

/* ---- the file ---- */

static int download_open(struct downloading *l)
{
	l->fd = open(l->d->part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (l->fd < 0) {
		l->disk = errno;
		return download_verdict(l, CURLE_OK);
	}
	/* Held for as long as we live: download_clean() leaves it alone. */
	flock(l->fd, LOCK_EX | LOCK_NB);
	return 0;
}

/* Nothing that is there already is replaced. Not all file systems have links, or this rename. */
static int download_name(const char *part, const char *path)
{
	if (link(part, path) == 0)
		return 0;
	return errno == EEXIST ? -1 : renameat2(AT_FDCWD, part, AT_FDCWD, path, RENAME_NOREPLACE);
}

static int download_keep(struct downloading *l)
{
	if (fsync(l->fd) == 0 && download_name(l->d->part, l->d->path) == 0)
		return 0;
	if (errno == EEXIST)
		return archive_fail(l->err, 500, "InternalServerException",
				    "Model file already exists %s", strrchr(l->d->path, '/') + 1);
	l->disk = errno;
	return download_verdict(l, CURLE_OK);
}

int download_run(const struct download *d, struct archive_error *err, struct buf *why)
{
	struct downloading l = { .d = d, .err = err, .why = why, .fd = -1 };
	int r;

	assert(strchr(d->path, '/') && d->part);
	buf_init(&err->message, DOWNLOAD_MESSAGE_MAX);
	buf_init(&l.validator, DOWNLOAD_HEADER_MAX);
	buf_init(&l.got.tag, DOWNLOAD_HEADER_MAX);
	buf_init(&l.got.location, DOWNLOAD_LOCATION_MAX);
	l.deadline_ns = clock_now_ns() + MIN(d->limit_s, DOWNLOAD_LIMIT_MAX) * NS_PER_S;
	l.curl = curl_load(why);
	l.easy = l.curl ? l.curl->easy_init() : NULL;
	r = l.easy   ? download_open(&l)
	    : l.curl ? download_fail(&l, ". libcurl has no memory")
		     : download_fail(&l, ". %s", buf_cstr(why));
	if (!r)
		r = download_fetch(&l);
	if (!r)
		r = download_keep(&l);
	if (l.fd >= 0) {
		unlink(d->part);
		close(l.fd);
	}
	if (l.easy)
		l.curl->easy_cleanup(l.easy);
	buf_finish(&l.validator);
	buf_finish(&l.got.tag);
	buf_finish(&l.got.location);
	return r;
}

static void download_clean_one(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		unlink(path);
	close(fd);
}

char *download_part_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	char id[UUID_LEN + 1];

	assert(slash);
	uuid_make(id);
	return mem_printf("%.*s/" DOWNLOAD_PREFIX "%s", (int)(slash - path), path, id);
}

void download_clean(const char *folder)
{
	DIR *d = opendir(folder);

	for (struct dirent *e; d && (e = readdir(d));) {
		_cleanup_(freep) char *path = mem_printf("%s/%s", folder, e->d_name);

		if (slice_starts(slice_str(e->d_name), SLICE(DOWNLOAD_PREFIX)))
			download_clean_one(path);
	}
	if (d)
		closedir(d);
}
