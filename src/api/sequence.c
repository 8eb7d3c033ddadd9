/* SPDX-License-Identifier: Apache-2.0 */
#include "api/sequence.h"

#include "api/parts.h"
#include "base/uuid.h"

#define SEQUENCE_PREFIX "ts-seq-"

static bool sequence_flag(const struct call *c, const char *header)
{
	return slice_ieq(http_head_get(&c->x->head, header), SLICE("true"));
}

void sequence_read(struct call *c, const struct version *v)
{
	const struct settings *s = c->api->settings;
	struct request *r = &c->request;
	char fresh[UUID_LEN + 1];

	if (!v->manifest.sequence_batching)
		return;
	r->sequence_id = http_head_get(&c->x->head, s->ts_header_key_sequence_id);
	r->sequence_start = sequence_flag(c, s->ts_header_key_sequence_start);
	r->sequence_end = sequence_flag(c, s->ts_header_key_sequence_end);
	if (r->sequence_id.n) {
		/* The client may leave, and the exchange with it, while the request runs. */
		r->sequence_id = region_copy(&c->region, r->sequence_id);
		return;
	}
	/* Never of the client's own id, which may come again. */
	if (c->own_ident)
		uuid_make(fresh);
	r->sequence_id = slice_str(
		region_printf(&c->region, SEQUENCE_PREFIX "%s", c->own_ident ? fresh : c->uuid));
	r->sequence_start = true;
	parts_add_header(c, slice_str(s->ts_header_key_sequence_id), r->sequence_id);
	parts_add_header(c, slice_str(s->ts_header_key_sequence_start), SLICE("true"));
}
