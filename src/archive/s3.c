/* SPDX-License-Identifier: Apache-2.0 */
#include "archive/s3.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/sha256.h"

#define S3_TEXT_MAX ((size_t)65536)
#define S3_REGION "us-east-1"
#define S3_EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static const char *variable(const char *name, const char *other)
{
	const char *text = getenv(name);

	if ((!text || !*text) && other)
		text = getenv(other);
	return text && *text ? text : NULL;
}

struct s3_account s3_account_of_environment(void)
{
	const char *region = variable("AWS_REGION", "AWS_DEFAULT_REGION");

	return (struct s3_account){
		.key_id = variable("AWS_ACCESS_KEY_ID", NULL),
		.secret = variable("AWS_SECRET_ACCESS_KEY", NULL),
		.token = variable("AWS_SESSION_TOKEN", NULL),
		.region = region ? region : S3_REGION,
		.endpoint = variable("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
	};
}

/* ---- where it is ---- */

/* The bucket and the key, which may hold '/'. */
static bool s3_split(struct slice url, struct slice *bucket, struct slice *key)
{
	const struct slice scheme = SLICE("s3://");

	if (!slice_istarts(url, scheme))
		return false;
	*key = slice_make(url.p + scheme.n, url.n - scheme.n);
	*bucket = slice_cut(key, '/');
	return true;
}

bool s3_is_url(struct slice url)
{
	struct slice bucket, key;

	return s3_split(url, &bucket, &key) && bucket.n && key.n;
}

static bool is_plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_' || c == '.' || c == '~' || c == '/';
}

/* Keys are bytes; an address is what the signature says it is, so there is one way to write it. */
static void put_escaped(struct buf *b, struct slice key)
{
	for (size_t i = 0; i < key.n; i++)
		if (is_plain(key.p[i]))
			buf_putc(b, key.p[i]);
		else
			buf_printf(b, "%%%02X", (unsigned char)key.p[i]);
}

char *s3_address(const struct s3_account *a, const char *url)
{
	_cleanup_(buf_finish) struct buf b = BUF_INIT(S3_TEXT_MAX);
	struct slice bucket, key, endpoint = a->endpoint ? slice_str(a->endpoint) : SLICE_NULL;

	if (!s3_split(slice_str(url), &bucket, &key))
		return NULL;
	while (endpoint.n && endpoint.p[endpoint.n - 1] == '/')
		endpoint.n--;
	/* Names of hosts are in certificates, where a '*' is for no dots. */
	if (endpoint.n)
		buf_printf(&b, "%.*s/%.*s/", SLICE_ARG(endpoint), SLICE_ARG(bucket));
	else if (memchr(bucket.p, '.', bucket.n))
		buf_printf(&b, "https://s3.%s.amazonaws.com/%.*s/", a->region, SLICE_ARG(bucket));
	else
		buf_printf(&b, "https://%.*s.s3.%s.amazonaws.com/", SLICE_ARG(bucket), a->region);
	put_escaped(&b, key);
	return mem_strdup(buf_cstr(&b));
}

/* ---- the signature ---- */

struct signing {
	const struct s3_account *a;
	char date[sizeof("20130524T000000Z")]; /* the first eight of it are the day */
	char day[sizeof("20130524")];
};

/* The host as the Host header has it: without a port that its scheme has anyway. */
static struct slice s3_host(const char *address, struct slice *path)
{
	const char *host = strstr(address, "://") + 3, *end = host + strcspn(host, "/");
	struct slice s = slice_make(host, (size_t)(end - host));
	struct slice usual = slice_istarts(slice_str(address), SLICE("https:")) ? SLICE(":443")
										: SLICE(":80");

	*path = slice_str(end);
	if (slice_ends(s, usual))
		s.n -= usual.n;
	return s;
}

/* What is signed of the request. Also the names of its headers, which have to be sorted. */
static const char *put_request(struct buf *b, const struct signing *s, const char *address)
{
	struct slice path, host = s3_host(address, &path);

	buf_printf(b,
		   "GET\n%.*s\n\nhost:%.*s\nx-amz-content-sha256:" S3_EMPTY "\nx-amz-date:%s\n",
		   SLICE_ARG(path), SLICE_ARG(host), s->date);
	if (s->a->token)
		buf_printf(b, "x-amz-security-token:%s\n", s->a->token);
	return s->a->token ? "host;x-amz-content-sha256;x-amz-date;x-amz-security-token"
			   : "host;x-amz-content-sha256;x-amz-date";
}

static void chain(unsigned char key[SHA256_LEN], const char *text)
{
	unsigned char next[SHA256_LEN];

	sha256_hmac(key, SHA256_LEN, text, strlen(text), next);
	memcpy(key, next, SHA256_LEN);
}

/* A key for this day, place and kind of service only. */
static void signing_key(const struct signing *s, unsigned char key[SHA256_LEN])
{
	_cleanup_(freep) char *secret = mem_printf("AWS4%s", s->a->secret);

	sha256_hmac(secret, strlen(secret), s->day, strlen(s->day), key);
	chain(key, s->a->region);
	chain(key, "s3");
	chain(key, "aws4_request");
	explicit_bzero(secret, strlen(secret));
}

void s3_sign(const struct s3_account *a, const char *address, time_t now, struct buf *lines)
{
	_cleanup_(buf_finish) struct buf b = BUF_INIT(S3_TEXT_MAX);
	unsigned char key[SHA256_LEN];
	char sum[SHA256_HEX_LEN + 1];
	struct signing s = { .a = a };
	const char *names;
	struct sha256 h;
	struct tm t;

	if (!a->key_id || !a->secret)
		return;
	strftime(s.date, sizeof(s.date), "%Y%m%dT%H%M%SZ", gmtime_r(&now, &t));
	memcpy(s.day, s.date, sizeof(s.day) - 1);
	names = put_request(&b, &s, address);
	buf_printf(&b, "\n%s\n" S3_EMPTY, names);
	sha256_init(&h);
	sha256_add(&h, b.p, b.n);
	sha256_end(&h, sum);
	buf_clear(&b);
	buf_printf(&b, "AWS4-HMAC-SHA256\n%s\n%s/%s/s3/aws4_request\n%s", s.date, s.day, a->region,
		   sum);
	signing_key(&s, key);
	chain(key, buf_cstr(&b));
	sha256_hex(key, sum);
	buf_printf(lines,
		   "Authorization: AWS4-HMAC-SHA256 Credential=%s/%s/%s/s3/aws4_request, "
		   "SignedHeaders=%s, Signature=%s\nx-amz-content-sha256: " S3_EMPTY
		   "\nx-amz-date: %s\n",
		   a->key_id, s.day, a->region, names, sum, s.date);
	if (a->token)
		buf_printf(lines, "x-amz-security-token: %s\n", a->token);
}
