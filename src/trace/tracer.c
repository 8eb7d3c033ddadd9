/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/tracer.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/region.h"
#include "wire/http.h"

#define TRACER_FLUSH_MS 5000 /* that the end of the server may take for it */
#define TRACER_PATH "/v1/traces"
#define TRACER_EPOCH_OFF_NS NS_PER_MS
#define TRACER_RESOURCE_MAX ((size_t)65536)
#define TRACER_HEADERS_MAX 64
#define RESOURCE_ATTRIBUTES 1

/* ---- settings ---- */

bool tracer_pairs(const char *text, void (*each)(void *arg, struct slice name, struct slice value),
		  void *arg)
{
	struct slice rest = slice_str(text);
	struct region region;
	bool sound = true;

	region_init(&region);
	while (rest.n && sound) {
		struct slice pair = slice_trim(slice_cut(&rest, ',')), name, value;

		if (!pair.n)
			continue;
		name = slice_trim(slice_cut(&pair, '='));
		sound = name.n && pair.p && http_unescape(&region, name, false, &name) &&
			http_unescape(&region, slice_trim(pair), false, &value);
		if (sound)
			each(arg, name, value);
	}
	region_finish(&region);
	return sound;
}

char *tracer_url(const char *endpoint, struct buf *why)
{
	struct slice url = slice_str(endpoint), rest, after, host;
	size_t scheme = slice_istarts(url, SLICE("http://"))    ? 7
			: slice_istarts(url, SLICE("https://")) ? 8
								: 0;

	rest = slice_make(url.p + scheme, url.n - scheme);
	after = rest;
	host = slice_cut(&after, '/');
	if (!scheme || !host.n || memchr(url.p, ' ', url.n)) {
		buf_printf(why,
			   "'%.*s' is not the URL of a collector; allowed: http://host:4318 or "
			   "https://…, with or without a path",
			   (int)MIN(url.n, 200), url.p);
		return NULL;
	}
	/* Settings and URLs are shown to people. */
	if (slice_find(host, '@') >= 0) {
		buf_puts(why,
			 "a URL with a name or key in it is not taken; put it into trace_headers: "
			 "authorization=Basic%20…");
		return NULL;
	}
	return mem_printf("%s%s", endpoint, slice_find(rest, '/') < 0 ? TRACER_PATH : "");
}

struct tracer_headers {
	struct tracer *tracer;
	size_t n;
	bool refused;
};

static void tracer_add_header(void *arg, struct slice name, struct slice value)
{
	struct tracer_headers *h = arg;

	h->refused |= !http_name_valid(name) || !http_value_valid(value) ||
		      h->n == TRACER_HEADERS_MAX;
	if (!h->refused)
		h->tracer->headers[h->n++] = mem_printf("%.*s: %.*s", SLICE_ARG(name),
							SLICE_ARG(value));
}

static int tracer_read_headers(struct tracer *t, const struct settings *s, struct buf *why)
{
	struct tracer_headers h = { .tracer = t };

	t->headers = mem_zalloc((TRACER_HEADERS_MAX + 1) * sizeof(*t->headers));
	if (!s->trace_headers ||
	    (tracer_pairs(s->trace_headers, tracer_add_header, &h) && !h.refused))
		return 0;
	settings_put_head(s, "trace_headers", why);
	buf_puts(why, "these are no headers; allowed: name=value,name=value, with %XX for what is "
		      "special");
	return -EINVAL;
}

struct tracer_resource {
	struct buf *out;
	bool named;
};

static void tracer_put_text(struct buf *out, const char *key, struct slice text)
{
	span_write_fact(out, RESOURCE_ATTRIBUTES, &(struct trace_fact){ .key = key, .text = text });
}

static void tracer_add_attribute(void *arg, struct slice name, struct slice value)
{
	struct tracer_resource *r = arg;
	_cleanup_(freep) char *key = slice_dup(slice_make(name.p, MIN(name.n, 128)));

	/* The setting of its own goes before it. */
	if (slice_eq(name, SLICE("service.name")) && r->named)
		return;
	r->named |= slice_eq(name, SLICE("service.name"));
	tracer_put_text(r->out, key, value);
}

static int tracer_write_resource(const struct settings *s, struct buf *out, struct buf *why)
{
	struct tracer_resource r = { out, s->trace_service_name != NULL };
	const char *attributes = s->trace_resource_attributes;
	char host[256] = "";

	if (s->trace_service_name)
		tracer_put_text(out, "service.name", slice_str(s->trace_service_name));
	if (attributes && !tracer_pairs(attributes, tracer_add_attribute, &r)) {
		settings_put_head(s, "trace_resource_attributes", why);
		buf_puts(why,
			 "these are no attributes; allowed: name=value,name=value, with %XX for "
			 "what is special");
		return -EINVAL;
	}
	if (!r.named)
		tracer_put_text(out, "service.name", SLICE("sconce"));
	gethostname(host, sizeof(host) - 1);
	tracer_put_text(out, "host.name", slice_str(host));
	span_write_fact(out, RESOURCE_ATTRIBUTES,
			&(struct trace_fact){ .key = "process.pid", .number = getpid() });
	tracer_put_text(out, "telemetry.sdk.name", SLICE("sconce"));
	tracer_put_text(out, "telemetry.sdk.language", SLICE("c"));
	tracer_put_text(out, "telemetry.sdk.version", SLICE(SCONCE_VERSION));
	return out->overflowed ? err_origin(-E2BIG) : 0;
}

/* ---- life ---- */

static int tracer_start(struct tracer *t, const struct settings *s, struct buf *why)
{
	_cleanup_(buf_finish) struct buf resource = BUF_INIT(TRACER_RESOURCE_MAX);
	_cleanup_(buf_finish) struct buf problem = BUF_INIT(1024);
	struct exporter_config c;
	int r;

	t->url = tracer_url(s->trace_endpoint, &problem);
	if (!t->url) {
		settings_put_head(s, "trace_endpoint", why);
		buf_puts(why, buf_cstr(&problem));
		return -EINVAL;
	}
	r = tracer_read_headers(t, s, why);
	if (!r)
		r = tracer_write_resource(s, &resource, why);
	if (r)
		return r;
	c = (struct exporter_config){ .url = t->url,
				      .headers = (const char *const *)t->headers,
				      .certificate = s->trace_certificate,
				      .gzip = strcmp(s->trace_compression, "gzip") == 0,
				      .timeout_ms = s->trace_timeout_ms,
				      .interval_ms = s->trace_interval_ms,
				      .flush_ms = TRACER_FLUSH_MS,
				      .memory = (size_t)s->trace_memory,
				      .resource = buf_slice(&resource) };
	r = exporter_create(&t->exporter, &c, why);
	t->put = exporter_put;
	t->sink = t->exporter;
	return r;
}

int tracer_create(struct tracer **ret, const struct settings *s, struct buf *why)
{
	struct tracer *t;
	int r;

	*ret = NULL;
	if (!s->trace_endpoint || s->trace_disabled)
		return 0;
	t = mem_new(struct tracer);
	t->sampler = (struct trace_sampler){ s->trace_parent_based, s->trace_ratio };
	t->tells = s->trace_response_header;
	r = tracer_start(t, s, why);
	if (r < 0) {
		tracer_destroy(t);
		return r;
	}
	log_info("Spans are sent to %s: of %g %% of the requests%s", t->url, 100 * s->trace_ratio,
		 s->trace_parent_based ? ", where their clients do not say otherwise" : "");
	*ret = t;
	return 0;
}

struct tracer *tracer_destroy(struct tracer *t)
{
	if (!t)
		return NULL;
	exporter_destroy(t->exporter);
	for (size_t i = 0; t->headers && t->headers[i]; i++)
		free(t->headers[i]);
	free(t->headers);
	free(t->url);
	free(t);
	return NULL;
}

struct exporter_stats tracer_stats(struct tracer *t)
{
	return t && t->exporter ? exporter_stats(t->exporter) : (struct exporter_stats){ 0 };
}

/* ---- spans ---- */

/* That two clocks are not read at the same moment must not turn around what happened, so it changes
 * only with the wall clock. */
static uint64_t tracer_epoch(struct tracer *t)
{
	uint64_t epoch_ns = clock_wall_ns() - clock_now_ns();
	uint64_t off_ns = epoch_ns > t->epoch_ns ? epoch_ns - t->epoch_ns : t->epoch_ns - epoch_ns;

	if (off_ns > TRACER_EPOCH_OFF_NS)
		t->epoch_ns = epoch_ns;
	return t->epoch_ns;
}

void tracer_put(struct tracer *t, const struct trace_span *s)
{
	static char room[SPAN_MAX + 16];
	struct buf out = { .p = room, .room = sizeof(room), .max = sizeof(room) - 1 };

	span_write(&out, s, tracer_epoch(t));
	t->put(t->sink, buf_slice(&out));
}

struct log_subject tracer_subject(const char *request_id, const struct trace *t)
{
	struct log_subject s = { .request_id = request_id };

	if (t) {
		trace_hex(t->id, TRACE_ID_LEN, s.trace);
		trace_hex(t->span, SPAN_ID_LEN, s.span);
	}
	return s;
}
