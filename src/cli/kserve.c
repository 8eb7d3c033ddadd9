/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/kserve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/util.h"

static const struct {
	const char *key, *value;
} rows[] = {
	{ "inference_address", "http://0.0.0.0:8080" },
	{ "kserve", "true" },
	{ "ts_open_inference_protocol", "true" },
};

/* Its own name for a protocol; NULL: this is not KServe. */
static const char *kserve_protocol(void)
{
	static const char *const protocols[] = { "v1", "v2", "grpc-v2" };
	const char *protocol = getenv("PROTOCOL_VERSION");
	const char *envelope = getenv("TS_SERVICE_ENVELOPE");

	for (size_t i = 0; protocol && envelope && i < ARRAY_LEN(protocols); i++)
		if (strcmp(protocol, protocols[i]) == 0)
			return protocols[i];
	return NULL;
}

static bool kserve_stays(const struct settings *s, const char *key)
{
	const char *origin = settings_origin(s, key);

	return origin && (strncmp(origin, "SCONCE_", 7) == 0 || strncmp(origin, "TS_", 3) == 0);
}

int kserve_apply(struct settings *s, struct buf *why)
{
	const char *protocol = kserve_protocol();
	_cleanup_(freep) char *origin = protocol ? mem_printf("PROTOCOL_VERSION=%s", protocol)
						 : NULL;

	if (!protocol)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int r = 0;

		if (!kserve_stays(s, rows[i].key))
			r = settings_set(s, slice_str(rows[i].key), slice_str(rows[i].value),
					 origin, why);
		if (r < 0)
			return err_trace(r);
	}
	return 0;
}

void kserve_tell(const struct settings *s)
{
	const char *protocol = kserve_protocol();

	if (!protocol)
		return;
	fprintf(stderr,
		"KServe (PROTOCOL_VERSION=%s): predictions are at %s, as its wrapper of TorchServe "
		"has it\n",
		protocol, s->inference_address);
	if (strcmp(protocol, "grpc-v2") == 0)
		fputs("warning: gRPC is not served by this version; the REST calls are\n", stderr);
}
