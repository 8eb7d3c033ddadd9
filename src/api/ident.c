/* SPDX-License-Identifier: Apache-2.0 */
#include "api/ident.h"

#include <string.h>

#include "api/call.h"
#include "base/uuid.h"

static bool ident_is_word(struct slice s)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789-_.:+/=";

	for (size_t i = 0; i < s.n; i++)
		if (!s.p[i] || !strchr(letters, s.p[i]))
			return false;
	return s.n && s.n <= UUID_LEN;
}

struct slice ident_of_client(const struct http_head *head)
{
	struct slice found = SLICE_NULL;
	unsigned n = 0;

	for (size_t i = 0; i < head->n_headers; i++)
		if (slice_ieq(head->headers[i].name, SLICE("x-request-id"))) {
			found = head->headers[i].value;
			n++;
		}
	return n == 1 && ident_is_word(found) ? found : SLICE_NULL;
}

void ident_take(struct call *c, const struct http_head *head)
{
	struct slice own = ident_of_client(head);

	c->own_ident = own.n && !map_get(&c->api->idents, own);
	if (!c->own_ident) {
		uuid_make(c->uuid);
		return;
	}
	/* A frame has all of it. */
	memset(c->uuid, 0, sizeof(c->uuid));
	memcpy(c->uuid, own.p, own.n);
	map_set(&c->api->idents, own, c);
}

void ident_return(struct call *c)
{
	if (c->own_ident)
		map_remove(&c->api->idents, slice_str(c->uuid));
	c->own_ident = false;
}
