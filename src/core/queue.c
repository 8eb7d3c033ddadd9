/* SPDX-License-Identifier: Apache-2.0 */
#include "core/queue.h"

#include "base/util.h"

void queue_init(struct queue *q, unsigned max)
{
	*q = (struct queue){ .max = max, .expires_ns = UINT64_MAX };
	list_init(&q->requests);
}

static void queue_note_deadline(struct queue *q, const struct request *r)
{
	assert(!r->cancelled);
	if (r->deadline_ns)
		q->expires_ns = MIN(q->expires_ns, r->deadline_ns);
}

int queue_push(struct queue *q, struct request *r)
{
	if (q->n >= q->max)
		return QUEUE_FULL;
	list_push_back(&q->requests, &r->link);
	queue_note_deadline(q, r);
	q->n++;
	return 0;
}

void queue_return(struct queue *q, struct request *r)
{
	list_push_front(&q->requests, &r->link);
	queue_note_deadline(q, r);
	q->n++;
}

void queue_remove(struct queue *q, struct request *r)
{
	assert(q->n > 0 && list_linked(&r->link));
	list_remove(&r->link);
	q->n--;
}

struct request *queue_first(const struct queue *q)
{
	struct list *n = list_first(&q->requests);

	return n ? container_of(n, struct request, link) : NULL;
}

struct request *queue_expire(struct queue *q, uint64_t now_ns)
{
	uint64_t next_ns = UINT64_MAX;

	if (now_ns < q->expires_ns)
		return NULL;
	list_for_each (n, &q->requests) {
		struct request *r = container_of(n, struct request, link);

		if (r->deadline_ns && r->deadline_ns <= now_ns) {
			queue_remove(q, r);
			return r;
		}
		if (r->deadline_ns)
			next_ns = MIN(next_ns, r->deadline_ns);
	}
	q->expires_ns = next_ns;
	return NULL;
}
