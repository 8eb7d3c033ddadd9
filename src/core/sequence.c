/* SPDX-License-Identifier: Apache-2.0 */
#include "core/sequence.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/util.h"

void sequences_init(struct sequences *s, const struct sequence_policy *policy)
{
	*s = (struct sequences){ .policy = *policy, .deadline_ns = UINT64_MAX };
	map_init(&s->all);
	map_init(&s->expired);
	list_init(&s->ready);
	list_init(&s->losing);
	list_init(&s->stranded);
	list_init(&s->overdue);
}

static struct slice sequence_id(const struct sequence *q)
{
	return slice_make(q->id, q->id_len);
}

/* ---- opening and freeing ---- */

static struct sequence *sequence_open(struct sequences *s, struct slice id, uint64_t now_ns)
{
	struct sequence *q = mem_alloc(sizeof(*q) + id.n);

	*q = (struct sequence){ .opened_ns = now_ns, .used_ns = now_ns, .id_len = id.n };
	memcpy(q->id, id.p, id.n);
	list_init(&q->ready);
	list_init(&q->requests);
	list_init(&q->losing);
	map_set(&s->all, id, q);
	return q;
}

void sequences_finish(struct sequences *s)
{
	map_for_each (e, &s->all) {
		struct sequence *q = e->value;

		assert(!q->n && !q->running);
		free(q);
	}
	map_finish(&s->all);
	map_finish(&s->expired);
}

/* ---- those whose time was over ---- */

/* An id may be as long as a header: what is kept of it has a fixed size. */
struct sequence_mark {
	uint64_t hash;
};

static struct slice sequence_mark(struct sequence_mark *m, struct slice id)
{
	m->hash = map_hash(id);
	return slice_make((const char *)&m->hash, sizeof(m->hash));
}

static void sequences_remember(struct sequences *s, struct slice id)
{
	struct sequence_mark m;
	struct slice key = sequence_mark(&m, id);

	map_remove(&s->expired, key); /* it becomes the youngest */
	if (s->expired.n >= SEQUENCES_REMEMBERED) {
		const struct map_entry *oldest = map_next(&s->expired, NULL);
		uint64_t hash;

		memcpy(&hash, oldest->key, sizeof(hash));
		map_remove(&s->expired, slice_make((const char *)&hash, sizeof(hash)));
	}
	map_set(&s->expired, key, s);
}

static bool sequences_remembers(const struct sequences *s, struct slice id)
{
	struct sequence_mark m;

	return s->expired.n && map_get(&s->expired, sequence_mark(&m, id));
}

static void sequences_forget(struct sequences *s, struct slice id)
{
	struct sequence_mark m;

	if (s->expired.n)
		map_remove(&s->expired, sequence_mark(&m, id));
}

static void sequence_free(struct sequences *s, struct sequence *q)
{
	assert(!q->n && !q->running);
	list_remove(&q->ready);
	list_remove(&q->losing);
	map_remove(&s->all, sequence_id(q));
	if (q->touched && !q->ending)
		sequences_remember(s, sequence_id(q));
	if (s->freed && q->place && q->touched)
		s->freed(s->arg, q);
	free(q);
}

static void sequence_set_lost(struct sequences *s, struct sequence *q, bool lost)
{
	q->lost = lost;
	list_remove(&q->losing);
	if (lost)
		list_push_back(&s->losing, &q->losing);
}

/* When it is over if nothing more happens in it. */
static uint64_t sequence_expiry(const struct sequences *s, const struct sequence *q)
{
	uint64_t idle_ns = q->used_ns + s->policy.idle_ns;

	if (!s->policy.timeout_ns || q->lost)
		return idle_ns;
	return MIN(idle_ns, q->opened_ns + s->policy.timeout_ns);
}

static bool sequence_over(const struct sequences *s, const struct sequence *q, uint64_t now_ns)
{
	return !q->n && !q->running && (q->ending || now_ns >= sequence_expiry(s, q));
}

/* What a change means for its place in line, and for its life. */
static void sequence_settle(struct sequences *s, struct sequence *q, uint64_t now_ns)
{
	bool ready = q->n && !q->busy;

	if (ready && !list_linked(&q->ready))
		list_push_back(&s->ready, &q->ready);
	else if (!ready)
		list_remove(&q->ready);
	if (sequence_over(s, q, now_ns))
		sequence_free(s, q);
	else if (!q->n && !q->running)
		s->sweep_ns = MIN(s->sweep_ns, sequence_expiry(s, q));
}

void sequences_sweep(struct sequences *s, uint64_t now_ns)
{
	uint64_t next_ns = UINT64_MAX;

	if (now_ns < s->sweep_ns)
		return;
	map_for_each (e, &s->all) {
		struct sequence *q = e->value;

		if (sequence_over(s, q, now_ns))
			sequence_free(s, q);
		else if (!q->n && !q->running)
			next_ns = MIN(next_ns, sequence_expiry(s, q));
	}
	s->sweep_ns = next_ns;
}

/* Room for one more: what has expired goes, and of those that are lost the oldest. */
static bool sequences_room(struct sequences *s, uint64_t now_ns)
{
	if (s->all.n < s->policy.max_sequences)
		return true;
	sequences_sweep(s, now_ns);
	if (s->all.n < s->policy.max_sequences)
		return true;
	list_for_each (n, &s->losing) {
		struct sequence *q = container_of(n, struct sequence, losing);

		/* What it began may still run at a place that is going away. */
		if (q->n || q->running)
			continue;
		sequences_remember(s, sequence_id(q));
		sequence_free(s, q);
		return true;
	}
	return false;
}

/* ---- waiting ---- */

static struct sequence *sequences_find(struct sequences *s, struct slice id, uint64_t now_ns)
{
	struct sequence *q = map_get(&s->all, id);

	if (q && sequence_over(s, q, now_ns)) {
		sequence_free(s, q);
		q = NULL;
	}
	return q;
}

static int sequence_admits(struct sequences *s, struct sequence *q, struct request *r,
			   uint64_t now_ns)
{
	bool late = s->policy.timeout_ns && now_ns >= q->opened_ns + s->policy.timeout_ns;
	bool over = q->lost || q->ending || late;

	if (over && !r->sequence_start)
		return q->lost ? SEQUENCE_LOST : SEQUENCE_CLOSED;
	/* A start that is not queued opens nothing. */
	if (q->n >= s->policy.max_waiting)
		return SEQUENCE_FULL;
	r->sequence_anew = q->lost;
	if (over) {
		sequence_set_lost(s, q, false);
		q->ending = false;
		q->opened_ns = now_ns;
	}
	return 0;
}

int sequences_push(struct sequences *s, struct request *r, uint64_t now_ns)
{
	struct sequence *q = sequences_find(s, r->sequence_id, now_ns);
	int refused;

	assert(s->policy.max_waiting > 0 && !r->sequence && !r->cancelled);
	if (!q && !r->sequence_start && sequences_remembers(s, r->sequence_id))
		return SEQUENCE_CLOSED;
	if (!q && !sequences_room(s, now_ns))
		return SEQUENCE_TOO_MANY;
	if (!q) {
		q = sequence_open(s, r->sequence_id, now_ns);
		sequence_set_lost(s, q, sequences_remembers(s, r->sequence_id));
	}
	refused = sequence_admits(s, q, r, now_ns);
	if (refused)
		return refused;
	if (r->sequence_start)
		sequences_forget(s, r->sequence_id);
	if (r->deadline_ns)
		s->deadline_ns = MIN(s->deadline_ns, r->deadline_ns);
	r->sequence = q;
	r->sequence_losses = q->losses;
	q->used_ns = now_ns;
	q->ending = r->sequence_end;
	q->n++;
	s->n_waiting++;
	list_push_back(&q->requests, &r->link);
	sequence_settle(s, q, now_ns);
	return 0;
}

static void sequence_take_out(struct sequences *s, struct sequence *q, struct request *r)
{
	assert(q->n > 0 && list_linked(&r->link));
	list_remove(&r->link);
	r->sequence = NULL;
	q->n--;
	s->n_waiting--;
}

/* What was to start it anew will not run, so nothing may that waits for the state. */
static void sequence_strand(struct sequences *s, struct sequence *q)
{
	struct list *n;

	while ((n = list_first(&q->requests))) {
		struct request *r = container_of(n, struct request, link);

		r->sequence_anew = r->sequence_start;
		if (r->sequence_anew)
			return;
		sequence_take_out(s, q, r);
		r->failing = true;
		list_push_back(&s->stranded, n);
	}
	sequence_set_lost(s, q, true);
}

void sequences_remove(struct sequences *s, struct request *r, uint64_t now_ns)
{
	struct sequence *q = r->sequence;

	sequence_take_out(s, q, r);
	if (r->sequence_anew)
		sequence_strand(s, q);
	sequence_settle(s, q, now_ns);
}

static struct request *sequence_overdue(const struct sequence *q, uint64_t now_ns,
					uint64_t *next_ns)
{
	list_for_each (n, &q->requests) {
		struct request *r = container_of(n, struct request, link);

		if (r->deadline_ns && r->deadline_ns <= now_ns)
			return r;
		if (r->deadline_ns)
			*next_ns = MIN(*next_ns, r->deadline_ns);
	}
	return NULL;
}

/* All of them at once: there may be very many, and who looked again for each would find no end. */
static void sequences_find_overdue(struct sequences *s, uint64_t now_ns)
{
	uint64_t next_ns = UINT64_MAX;
	struct request *r;

	map_for_each (e, &s->all) {
		struct sequence *q = e->value;

		q->running++; /* so that it stays meanwhile */
		while ((r = sequence_overdue(q, now_ns, &next_ns))) {
			sequences_remove(s, r, now_ns);
			r->failing = true;
			list_push_back(&s->overdue, &r->link);
		}
		q->running--;
		sequence_settle(s, q, now_ns);
	}
	s->deadline_ns = next_ns;
}

struct request *sequences_overdue(struct sequences *s, uint64_t now_ns)
{
	struct request *r;
	struct list *n;

	if (list_empty(&s->overdue) && now_ns >= s->deadline_ns)
		sequences_find_overdue(s, now_ns);
	n = list_pop(&s->overdue);
	if (!n)
		return NULL;
	r = container_of(n, struct request, link);
	r->failing = false;
	return r;
}

/* From what may go, as long as that is all; who wants all of them looks at none for nothing. */
struct request *sequences_any(struct sequences *s, uint64_t now_ns)
{
	struct list *ready = list_first(&s->ready);

	if (ready) {
		struct sequence *q = container_of(ready, struct sequence, ready);
		struct request *r = container_of(list_first(&q->requests), struct request, link);

		sequences_remove(s, r, now_ns);
		return r;
	}
	map_for_each (e, &s->all) {
		struct sequence *q = e->value;
		struct list *n = list_first(&q->requests);

		if (n) {
			sequences_remove(s, container_of(n, struct request, link), now_ns);
			return container_of(n, struct request, link);
		}
	}
	return NULL;
}

/* ---- places ---- */

struct sequence *sequences_unplaced(const struct sequences *s, const struct sequence *after)
{
	const struct list *n = after ? &after->ready : &s->ready;

	while ((n = n->next) != &s->ready) {
		struct sequence *q = container_of(n, struct sequence, ready);

		if (!q->place)
			return q;
	}
	return NULL;
}

static void sequence_lose(struct sequences *s, struct sequence *q, uint64_t now_ns,
			  struct list *failed)
{
	list_for_each (n, &q->requests)
		container_of(n, struct request, link)->sequence = NULL;
	list_splice_back(failed, &q->requests);
	s->n_waiting -= q->n;
	q->n = 0;
	q->place = NULL;
	sequence_set_lost(s, q, true);
	q->losses++;
	q->touched = false;
	q->used_ns = now_ns;
	sequence_settle(s, q, now_ns);
}

void sequences_leave(struct sequences *s, const void *place, uint64_t now_ns, struct list *failed)
{
	/* Losing one may free it, and no other. */
	map_for_each (e, &s->all) {
		struct sequence *q = e->value;

		if (q->place != place)
			continue;
		/* What runs there still may be answered, and leaves state then. */
		if (q->touched || q->running)
			sequence_lose(s, q, now_ns, failed);
		else
			q->place = NULL;
	}
}

/* ---- running ---- */

unsigned sequences_take(struct sequences *s, const struct batch_policy *p,
			const struct batch_cost *cost, const void *place, uint64_t now_ns,
			struct batch *out, uint64_t *ret_wake_ns)
{
	struct queue heads;
	struct list *n;
	unsigned taken;

	queue_init(&heads, p->batch_size);
	list_for_each (l, &s->ready) {
		struct sequence *q = container_of(l, struct sequence, ready);

		if (q->place == place && heads.n < heads.max)
			queue_push(&heads,
				   container_of(list_pop(&q->requests), struct request, link));
	}
	taken = batch_take(p, cost, &heads, now_ns, out, ret_wake_ns);
	while ((n = list_last(&heads.requests))) {
		struct request *r = container_of(n, struct request, link);

		queue_remove(&heads, r);
		list_push_front(&r->sequence->requests, n);
	}
	list_for_each (l, &out->requests) {
		const struct request *r = container_of(l, struct request, link);
		struct sequence *q = r->sequence;

		q->n--;
		q->running++;
		q->busy = true;
		q->last = r;
		s->n_waiting--;
		list_remove(&q->ready);
	}
	return taken;
}

void sequences_return(struct sequences *s, struct request *r)
{
	struct sequence *q = r->sequence;

	assert(q->running > 0 && !r->cancelled);
	q->running--;
	q->busy = false;
	q->n++;
	s->n_waiting++;
	if (r->deadline_ns)
		s->deadline_ns = MIN(s->deadline_ns, r->deadline_ns);
	list_push_front(&q->requests, &r->link);
	/* It was the first in line. */
	list_remove(&q->ready);
	list_push_front(&s->ready, &q->ready);
}

void sequences_answered(struct sequences *s, struct request *r, uint64_t now_ns, bool final)
{
	struct sequence *q = r->sequence;

	assert(q->running > 0);
	q->used_ns = now_ns;
	/* What was lost and still runs has left nothing where it was started anew, and is not what
	 * the next one waits for. */
	if (r->sequence_losses == q->losses)
		q->touched = q->place != NULL;
	if (r == q->last && (final || s->policy.overlap))
		q->busy = false;
	if (final) {
		q->running--;
		r->sequence = NULL;
	}
	sequence_settle(s, q, now_ns);
}

void sequences_end(struct sequences *s, struct slice id, const void *place, uint64_t now_ns)
{
	struct sequence *q = map_get(&s->all, id);

	/* Elsewhere it may have been started anew since. */
	if (!q || (q->place != place && !q->lost))
		return;
	q->ending = true;
	sequence_settle(s, q, now_ns);
}
