/* SPDX-License-Identifier: Apache-2.0 */
#include "api/refusal.h"

#include "api/call.h"

static void refusal_too_large(const struct settings *s, const struct call *c, struct buf *out)
{
	/* What is no request to a model takes less. */
	if (c && c->body.max < s->max_request_size)
		buf_printf(out,
			   "The request body is too large: this call takes at most %llu bytes.",
			   (unsigned long long)c->body.max);
	else
		buf_printf(out,
			   "The request body is too large: max_request_size allows %llu bytes.",
			   (unsigned long long)s->max_request_size);
}

void refusal_explain(const struct api *a, const struct exchange *x, int status, const char *why,
		     struct buf *out)
{
	const struct settings *s = a->settings;

	switch (status) {
	case 408:
		buf_printf(out,
			   "%s header_timeout_ms is %llu, body_timeout_ms %llu, body_rate_min %llu "
			   "bytes a second.",
			   why, (unsigned long long)s->header_timeout_ms,
			   (unsigned long long)s->body_timeout_ms,
			   (unsigned long long)s->body_rate_min);
		break;
	case 413:
		refusal_too_large(s, x ? x->user : NULL, out);
		break;
	case 414:
	case 431:
		buf_printf(out, "%s max_header_size allows %llu bytes, max_headers %llu headers.",
			   why, (unsigned long long)s->max_header_size,
			   (unsigned long long)s->max_headers);
		break;
	case 503:
		buf_printf(out, "%s memory_budget is %llu bytes.", why,
			   (unsigned long long)s->memory_budget);
		break;
	default:
		buf_puts(out, why);
	}
}
