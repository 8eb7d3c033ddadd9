/* SPDX-License-Identifier: Apache-2.0 */
#include "config/otel.h"

#include "base/mem.h"
#include "config/properties.h"
#include "config/table.h"

#define OTEL_PREFIX "OTEL_EXPORTER_OTLP_"

/* Later rows win: what is said for traces alone goes before what is said for all signals. */
static const struct {
	const char *variable, *key;
} otel_rows[] = {
	{ OTEL_PREFIX "HEADERS", "trace_headers" },
	{ OTEL_PREFIX "TRACES_HEADERS", "trace_headers" },
	{ OTEL_PREFIX "TIMEOUT", "trace_timeout_ms" },
	{ OTEL_PREFIX "TRACES_TIMEOUT", "trace_timeout_ms" },
	{ OTEL_PREFIX "COMPRESSION", "trace_compression" },
	{ OTEL_PREFIX "TRACES_COMPRESSION", "trace_compression" },
	{ OTEL_PREFIX "CERTIFICATE", "trace_certificate" },
	{ OTEL_PREFIX "TRACES_CERTIFICATE", "trace_certificate" },
	{ "OTEL_RESOURCE_ATTRIBUTES", "trace_resource_attributes" },
	{ "OTEL_SERVICE_NAME", "trace_service_name" },
	{ "OTEL_BSP_SCHEDULE_DELAY", "trace_interval_ms" },
};

/* SLICE_NULL also where it is empty, which the specification takes for not set. */
static struct slice otel_get(char *const *environment, const char *name)
{
	struct slice v = slice_trim(environment_get(environment, slice_str(name)));

	return v.n ? v : SLICE_NULL;
}

static void otel_set(struct settings *s, const char *key, struct slice value, const char *variable,
		     struct buf *why)
{
	_cleanup_(buf_finish) struct buf problem = BUF_INIT(1024);

	if (settings_set(s, slice_str(key), value, variable, &problem) < 0)
		buf_printf(why, "warning: not used: %s", buf_cstr(&problem));
}

static bool otel_is_url(struct slice value, const char *variable, struct buf *why)
{
	if (slice_istarts(value, SLICE("http://")) || slice_istarts(value, SLICE("https://")))
		return true;
	buf_printf(why, "warning: not used: %s: ", variable);
	setting_put_shown(why, value);
	buf_puts(why, " is not the URL of a collector; allowed: http://host:4318 or https://…\n");
	return false;
}

/* What is for all signals is a folder of theirs. */
static void otel_set_endpoint(struct settings *s, char *const *environment, struct buf *why)
{
	struct slice traces = otel_get(environment, OTEL_PREFIX "TRACES_ENDPOINT"),
		     all = otel_get(environment, OTEL_PREFIX "ENDPOINT");
	_cleanup_(freep) char *url = NULL;

	if (traces.p && otel_is_url(traces, OTEL_PREFIX "TRACES_ENDPOINT", why)) {
		otel_set(s, "trace_endpoint", traces, OTEL_PREFIX "TRACES_ENDPOINT", why);
	} else if (!traces.p && all.p && otel_is_url(all, OTEL_PREFIX "ENDPOINT", why)) {
		while (all.n && all.p[all.n - 1] == '/')
			all.n--;
		url = mem_printf("%.*s/v1/traces", SLICE_ARG(all));
		otel_set(s, "trace_endpoint", slice_str(url), OTEL_PREFIX "ENDPOINT", why);
	}
}

/* The port of gRPC answers nobody who speaks HTTP/1. */
static bool otel_speaks_http(char *const *environment, struct buf *why)
{
	const char *name = OTEL_PREFIX "TRACES_PROTOCOL";
	struct slice protocol = otel_get(environment, name);

	if (!protocol.p)
		protocol = otel_get(environment, name = OTEL_PREFIX "PROTOCOL");
	if (!protocol.p || slice_ieq(protocol, SLICE("http/protobuf")))
		return true;
	buf_printf(why, "warning: %s: ", name);
	setting_put_shown(why, protocol);
	if (slice_ieq(protocol, SLICE("http/json"))) {
		buf_puts(why, " is not spoken: spans are sent as http/protobuf\n");
		return true;
	}
	buf_puts(why, " is not spoken, so OpenTelemetry's endpoint is not used; allowed: "
		      "http/protobuf (a collector has it at port 4318)\n");
	return false;
}

static bool otel_exports(char *const *environment, struct buf *why)
{
	struct slice exporter = otel_get(environment, "OTEL_TRACES_EXPORTER");

	if (!exporter.p || slice_ieq(exporter, SLICE("otlp")))
		return true;
	if (!slice_ieq(exporter, SLICE("none"))) {
		buf_puts(why, "warning: OTEL_TRACES_EXPORTER: ");
		setting_put_shown(why, exporter);
		buf_puts(why, " is not known, so no spans are sent; allowed: otlp|none\n");
	}
	return false;
}

/* Its samplers are a share of the requests each, and who decides. */
static void otel_set_sampler(struct settings *s, char *const *environment, struct buf *why)
{
	static const char variable[] = "OTEL_TRACES_SAMPLER";
	struct slice name = otel_get(environment, variable), parent = SLICE("parentbased_"),
		     ratio = SLICE_NULL;
	bool based = slice_starts(name, parent);

	if (!name.p)
		return;
	if (based)
		name = slice_make(name.p + parent.n, name.n - parent.n);
	if (slice_eq(name, SLICE("always_on"))) {
		ratio = SLICE("1");
	} else if (slice_eq(name, SLICE("always_off"))) {
		ratio = SLICE("0");
	} else if (!slice_eq(name, SLICE("traceidratio"))) {
		buf_printf(why, "warning: not used: %s: ", variable);
		setting_put_shown(why, otel_get(environment, variable));
		buf_puts(why,
			 " is not known; allowed: always_on|always_off|traceidratio, each with "
			 "parentbased_ before it\n");
		return;
	}
	otel_set(s, "trace_parent_based", based ? SLICE("true") : SLICE("false"), variable, why);
	if (ratio.p)
		otel_set(s, "trace_ratio", ratio, variable, why);
	ratio = otel_get(environment, "OTEL_TRACES_SAMPLER_ARG");
	if (ratio.p && slice_eq(name, SLICE("traceidratio")))
		otel_set(s, "trace_ratio", ratio, "OTEL_TRACES_SAMPLER_ARG", why);
}

void otel_load(struct settings *s, char *const *environment, struct buf *why)
{
	s->trace_disabled = slice_ieq(otel_get(environment, "OTEL_SDK_DISABLED"), SLICE("true"));
	if (s->trace_disabled)
		return;
	if (!otel_exports(environment, why)) {
		s->trace_disabled = true;
		return;
	}
	if (otel_speaks_http(environment, why))
		otel_set_endpoint(s, environment, why);
	for (size_t i = 0; i < ARRAY_LEN(otel_rows); i++) {
		struct slice value = otel_get(environment, otel_rows[i].variable);

		if (value.p)
			otel_set(s, otel_rows[i].key, value, otel_rows[i].variable, why);
	}
	otel_set_sampler(s, environment, why);
}
