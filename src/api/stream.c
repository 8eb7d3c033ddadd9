/* SPDX-License-Identifier: Apache-2.0 */
#include "api/stream.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* A piece of a stream on its way to the client: counted, and given back as it goes, which lets the
 * worker send more. Its call outlives it. */
struct stream_piece {
	struct call *call;
	struct budget *budget; /* of a copy; NULL: the bytes are the worker's */
	size_t n, charged;
	void (*release)(void *arg);
	void *arg;
	char copy[];
};

static void stream_piece_gone(void *arg)
{
	struct stream_piece *k = arg;

	if (k->budget)
		budget_give(k->budget, k->charged);
	if (k->release)
		k->release(k->arg);
	if (k->call->running)
		version_stream_taken(k->call->version, &k->call->request, k->n);
	free(k);
}

/* False: there is no memory for it. */
static bool stream_piece_send(struct call *c, const struct reply *reply)
{
	bool copies = !reply->release;
	/* Of a token of a few bytes it is this that takes the memory, not the bytes. */
	size_t charged = sizeof(struct stream_piece) + sizeof(struct piece) + reply->body.n;
	struct stream_piece *k;

	if (copies && !budget_take(c->api->budget, charged))
		return false;
	k = mem_alloc(sizeof(*k) + (copies ? reply->body.n : 0));
	*k = (struct stream_piece){ .call = c,
				    .budget = copies ? c->api->budget : NULL,
				    .n = reply->body.n,
				    .charged = charged,
				    .release = reply->release,
				    .arg = reply->arg };
	if (copies)
		memcpy(k->copy, reply->body.p, reply->body.n);
	exchange_chunk(c->x, (struct payload){ .p = copies ? k->copy : reply->body.p,
					       .n = reply->body.n,
					       .release = stream_piece_gone,
					       .arg = k });
	return true;
}

/* A stream that fails must end visibly: without its last chunk. */
static void stream_break(struct call *c)
{
	exchange_abort(c->x);
	if (c->running)
		telemetry_answer(&c->version->metrics, 500);
	c->abandoned = true;
	if (c->running && version_cancel(c->version, &c->request))
		c->running = false;
}

void stream_send(struct call *c, const struct reply *reply)
{
	bool sent = true;

	assert(c->streaming);
	if (!reply->error && reply->body.n)
		sent = stream_piece_send(c, reply);
	else if (reply->release)
		reply->release(reply->arg);
	if (reply->error || !sent)
		stream_break(c);
	else if (reply->final)
		exchange_finish(c->x);
}
