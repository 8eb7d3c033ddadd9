/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/exporter.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "base/clock.h"
#include "base/curl.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "base/uuid.h"
#include "log/log.h"
#include "trace/export_reply.h"
#include "trace/ring.h"
#include "trace/span.h"

#define EXPORT_SPANS 512 /* of a batch */
#define EXPORT_BATCH_MAX ((size_t)512 << 10)
#define EXPORT_TRIES 6
#define EXPORT_REPLY_MAX ((size_t)4096) /* of an answer; what is behind it is not read */
#define EXPORT_WHY_MAX ((size_t)256)

enum { REQUEST_RESOURCE_SPANS = 1, RESOURCE_SPANS_RESOURCE = 1, RESOURCE_SPANS_SCOPE_SPANS = 2 };
/* ScopeSpans.scope: an InstrumentationScope with its name and version. */
#define SCOPE_NAME "\x0a\x06sconce\x12"
#define SCOPE_SPANS_SCOPE 1

struct exporter {
	struct exporter_config config;
	const struct curl *curl;
	/* The thread's own. */
	CURL *easy;
	char *url; /* outlives who made us, see exporter_destroy() */
	struct curl_slist *headers;
	struct buf resource, spans, body, packed, reply;
	bool failing;
	uint64_t random;

	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t work;
	/* With the lock. */
	struct span_ring ring;
	uint64_t since_ns; /* when what waits first came into an empty ring */
	bool stopping;
	uint64_t stop_ns; /* when to give up */
	struct exporter_stats stats;
};

/* ---- the request ---- */

/* What the spans of a batch stand in. */
static void export_wrap(struct exporter *e)
{
	static const char scope[] = SCOPE_NAME;
	size_t version = strlen(SCONCE_VERSION);
	char heads[3][12], version_n = (char)version;
	size_t scope_n = sizeof(scope) - 1 + 1 + version, n[3], inner;

	n[2] = span_message_head(SCOPE_SPANS_SCOPE, scope_n, heads[2]);
	inner = n[2] + scope_n + e->spans.n;
	n[1] = span_message_head(RESOURCE_SPANS_SCOPE_SPANS, inner, heads[1]);
	n[0] = span_message_head(REQUEST_RESOURCE_SPANS, e->resource.n + n[1] + inner, heads[0]);
	buf_clear(&e->body);
	buf_append(&e->body, heads[0], n[0]);
	buf_put_slice(&e->body, buf_slice(&e->resource));
	buf_append(&e->body, heads[1], n[1]);
	buf_append(&e->body, heads[2], n[2]);
	buf_append(&e->body, scope, sizeof(scope) - 1);
	buf_append(&e->body, &version_n, 1);
	buf_puts(&e->body, SCONCE_VERSION);
	buf_put_slice(&e->body, buf_slice(&e->spans));
	assert(!e->body.overflowed);
}

/* False: then it goes as it is. */
static bool export_pack(struct exporter *e)
{
	z_stream z = { .next_in = (Bytef *)e->body.p, .avail_in = (uInt)e->body.n };
	size_t room;
	bool whole;

	/* 15: the window; 16: with gzip's head. */
	if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) !=
	    Z_OK)
		return false;
	room = deflateBound(&z, z.avail_in);
	buf_clear(&e->packed);
	z.next_out = (Bytef *)buf_reserve(&e->packed, room);
	z.avail_out = (uInt)room;
	whole = z.next_out && deflate(&z, Z_FINISH) == Z_STREAM_END;
	if (whole)
		buf_added(&e->packed, z.total_out);
	deflateEnd(&z);
	return whole;
}

static size_t export_answered(char *p, size_t size, size_t n, void *arg)
{
	struct exporter *e = arg;
	size_t room = e->reply.max - e->reply.n;

	/* Of one that goes on its head is all that counts. */
	if (size * n > room)
		return 0;
	buf_append(&e->reply, p, size * n);
	return size * n;
}

/* Ends a try that the end of the server cannot wait for. */
static int export_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	struct exporter *e = arg;
	bool late;

	(void)a, (void)b, (void)c, (void)d;
	pthread_mutex_lock(&e->lock);
	late = e->stopping && clock_now_ns() > e->stop_ns;
	pthread_mutex_unlock(&e->lock);
	return late;
}

static void export_prepare(struct exporter *e)
{
	const struct exporter_config *config = &e->config;
	const struct curl *c = e->curl;
	long timeout_ms = (long)config->timeout_ms;

	e->headers = c->slist_append(NULL, "Content-Type: application/x-protobuf");
	/* No "100 Continue" to wait for. */
	e->headers = c->slist_append(e->headers, "Expect:");
	if (config->gzip)
		e->headers = c->slist_append(e->headers, "Content-Encoding: gzip");
	for (const char *const *h = config->headers; h && *h; h++)
		e->headers = c->slist_append(e->headers, *h);
	c->easy_setopt(e->easy, CURLOPT_URL, config->url);
	c->easy_setopt(e->easy, CURLOPT_PROTOCOLS_STR, "http,https");
	c->easy_setopt(e->easy, CURLOPT_HTTPHEADER, e->headers);
	c->easy_setopt(e->easy, CURLOPT_USERAGENT, "sconce/" SCONCE_VERSION);
	c->easy_setopt(e->easy, CURLOPT_POST, 1L);
	c->easy_setopt(e->easy, CURLOPT_NOSIGNAL, 1L);
	c->easy_setopt(e->easy, CURLOPT_TIMEOUT_MS, timeout_ms);
	c->easy_setopt(e->easy, CURLOPT_CONNECTTIMEOUT_MS, timeout_ms);
	c->easy_setopt(e->easy, CURLOPT_WRITEFUNCTION, export_answered);
	c->easy_setopt(e->easy, CURLOPT_WRITEDATA, e);
	c->easy_setopt(e->easy, CURLOPT_NOPROGRESS, 0L);
	c->easy_setopt(e->easy, CURLOPT_XFERINFOFUNCTION, export_progress);
	c->easy_setopt(e->easy, CURLOPT_XFERINFODATA, e);
	if (config->certificate)
		c->easy_setopt(e->easy, CURLOPT_CAINFO, config->certificate);
}

/* ---- what came of it ---- */

static void export_complain(struct exporter *e, const char *what, struct slice why)
{
	why = utf8_cut(why, EXPORT_WHY_MAX);
	if (!e->failing)
		log_warn("Spans cannot be sent to %s: %s%s%.*s. They wait in trace_memory; what "
			 "does not fit there is dropped (sconce_trace_spans_dropped_total)",
			 e->url, what, why.n ? ": " : "", SLICE_ARG(why));
	e->failing = true;
}

static void export_count(struct exporter *e, uint64_t sent, uint64_t dropped, uint64_t failures)
{
	pthread_mutex_lock(&e->lock);
	e->stats.sent += sent;
	e->stats.dropped += dropped;
	e->stats.failures += failures;
	pthread_mutex_unlock(&e->lock);
}

static void export_sent(struct exporter *e, unsigned n)
{
	struct slice why;
	uint64_t rejected = export_rejected(buf_slice(&e->reply), n, &why);

	export_count(e, n - rejected, rejected, 0);
	if (rejected) {
		export_complain(e, "it rejected some", why);
		return;
	}
	if (e->failing)
		log_info("Spans are sent to %s again", e->url);
	e->failing = false;
}

/* One try. *ret_after_s: what the collector asks to wait; 0: nothing. */
static enum export_verdict export_post(struct exporter *e, unsigned n, uint64_t *ret_after_s)
{
	bool packed = e->config.gzip && export_pack(e);
	struct slice body = buf_slice(packed ? &e->packed : &e->body);
	enum export_verdict verdict;
	curl_off_t after_s = 0;
	long status = 0;
	char text[64];
	CURLcode r;

	buf_clear(&e->reply);
	e->curl->easy_setopt(e->easy, CURLOPT_POSTFIELDS, body.p);
	e->curl->easy_setopt(e->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.n);
	r = e->curl->easy_perform(e->easy);
	if (r == CURLE_OK || r == CURLE_WRITE_ERROR)
		e->curl->easy_getinfo(e->easy, CURLINFO_RESPONSE_CODE, &status);
	e->curl->easy_getinfo(e->easy, CURLINFO_RETRY_AFTER, &after_s);
	*ret_after_s = after_s > 0 ? (uint64_t)after_s : 0;
	verdict = export_verdict(status);
	if (verdict == EXPORT_SENT) {
		export_sent(e, n);
		return verdict;
	}
	snprintf(text, sizeof(text), "it answered %ld", status);
	export_count(e, 0, 0, 1);
	export_complain(e, status ? text : e->curl->easy_strerror(r), SLICE_NULL);
	return verdict;
}

/* ---- the thread ---- */

static struct timespec export_time(uint64_t ns)
{
	return (struct timespec){ .tv_sec = (time_t)(ns / NS_PER_S),
				  .tv_nsec = (long)(ns % NS_PER_S) };
}

/* With the lock: until then, or until the server ends. */
static void export_sleep(struct exporter *e, uint64_t until_ns, unsigned spans)
{
	struct timespec until = export_time(until_ns);

	while (!e->stopping && e->ring.n < spans &&
	       pthread_cond_timedwait(&e->work, &e->lock, &until) != ETIMEDOUT)
		;
}

/* Before another try. False: the server ends, and this was its last. */
static bool export_pause(struct exporter *e, uint64_t wait_ns)
{
	bool goes_on;

	pthread_mutex_lock(&e->lock);
	goes_on = !e->stopping;
	export_sleep(e, clock_now_ns() + wait_ns, UINT_MAX);
	pthread_mutex_unlock(&e->lock);
	return goes_on;
}

static void export_deliver(struct exporter *e, unsigned n)
{
	uint64_t after_s;

	export_wrap(e);
	for (unsigned tries = 0; tries < EXPORT_TRIES; tries++) {
		enum export_verdict verdict = export_post(e, n, &after_s);

		if (verdict == EXPORT_SENT)
			return;
		if (verdict == EXPORT_LOST || tries + 1 == EXPORT_TRIES)
			break;
		e->random = e->random * UINT64_C(6364136223846793005) + 1;
		if (!export_pause(e, export_wait_ns(tries, after_s, e->random >> 32)))
			break;
	}
	export_count(e, 0, n, 0);
}

/* With the lock. False: it is over. */
static bool export_await(struct exporter *e)
{
	while (!e->ring.n && !e->stopping)
		pthread_cond_wait(&e->work, &e->lock);
	if (e->ring.n)
		export_sleep(e, e->since_ns + e->config.interval_ms * NS_PER_MS, EXPORT_SPANS);
	return e->ring.n && (!e->stopping || clock_now_ns() < e->stop_ns);
}

static void *export_run(void *arg)
{
	struct exporter *e = arg;

	export_prepare(e);
	pthread_mutex_lock(&e->lock);
	while (export_await(e)) {
		unsigned n;

		buf_clear(&e->spans);
		n = span_ring_take(&e->ring, EXPORT_SPANS, &e->spans);
		pthread_mutex_unlock(&e->lock);
		export_deliver(e, n);
		pthread_mutex_lock(&e->lock);
	}
	e->stats.dropped += e->ring.n;
	pthread_mutex_unlock(&e->lock);
	return NULL;
}

/* ---- for the loop ---- */

void exporter_put(void *exporter, struct slice span)
{
	struct exporter *e = exporter;

	pthread_mutex_lock(&e->lock);
	if (!e->ring.n)
		e->since_ns = clock_now_ns();
	if (!span_ring_put(&e->ring, span))
		e->stats.dropped++;
	/* It sleeps while there are none, and between the first and a whole batch. */
	else if (e->ring.n == 1 || e->ring.n == EXPORT_SPANS)
		pthread_cond_signal(&e->work);
	pthread_mutex_unlock(&e->lock);
}

struct exporter_stats exporter_stats(struct exporter *e)
{
	struct exporter_stats s;

	pthread_mutex_lock(&e->lock);
	s = e->stats;
	pthread_mutex_unlock(&e->lock);
	return s;
}

static int export_start(struct exporter *e)
{
	pthread_condattr_t attributes;
	int r;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&e->work, &attributes);
	pthread_condattr_destroy(&attributes);
	pthread_mutex_init(&e->lock, NULL);
	r = pthread_create(&e->thread, NULL, export_run, e);
	return r ? err_origin(-r) : 0;
}

static struct exporter *export_free(struct exporter *e)
{
	if (e->easy)
		e->curl->easy_cleanup(e->easy);
	if (e->headers)
		e->curl->slist_free_all(e->headers);
	span_ring_finish(&e->ring);
	free(e->url);
	buf_finish(&e->resource);
	buf_finish(&e->spans);
	buf_finish(&e->body);
	buf_finish(&e->packed);
	buf_finish(&e->reply);
	free(e);
	return NULL;
}

int exporter_create(struct exporter **ret, const struct exporter_config *c, struct buf *why)
{
	struct exporter *e = mem_new(struct exporter);
	int r = -ENOENT;

	e->config = *c;
	e->url = mem_strdup(c->url);
	e->random = uuid_random();
	buf_init(&e->spans, EXPORT_BATCH_MAX);
	buf_init(&e->resource, EXPORT_BATCH_MAX);
	buf_init(&e->body, 3 * EXPORT_BATCH_MAX);
	buf_init(&e->packed, 4 * EXPORT_BATCH_MAX);
	buf_init(&e->reply, EXPORT_REPLY_MAX);
	span_write_message(&e->resource, RESOURCE_SPANS_RESOURCE, c->resource);
	span_ring_init(&e->ring, c->memory);
	e->curl = curl_load(why);
	e->easy = e->curl ? e->curl->easy_init() : NULL;
	if (e->easy)
		r = export_start(e);
	if (r < 0) {
		export_free(e);
		return r;
	}
	*ret = e;
	return 0;
}

struct exporter *exporter_destroy(struct exporter *e)
{
	struct timespec until;
	uint64_t lost;

	if (!e)
		return NULL;
	pthread_mutex_lock(&e->lock);
	e->stopping = true;
	e->stop_ns = clock_now_ns() + e->config.flush_ms * NS_PER_MS;
	pthread_cond_signal(&e->work);
	pthread_mutex_unlock(&e->lock);
	/* A name server that hangs may hold libcurl for longer: then the thread ends with us. */
	until = export_time(clock_wall_ns() + (e->config.flush_ms + 2000) * NS_PER_MS);
	if (pthread_timedjoin_np(e->thread, NULL, &until)) {
		log_warn("The last spans were not sent: %s keeps us waiting", e->url);
		return NULL;
	}
	lost = e->stats.dropped;
	if (lost)
		log_warn("%llu spans were dropped", (unsigned long long)lost);
	pthread_cond_destroy(&e->work);
	pthread_mutex_destroy(&e->lock);
	return export_free(e);
}
