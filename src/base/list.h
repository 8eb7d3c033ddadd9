/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Intrusive doubly linked list. A head and a node are the same struct; a node that is in no list
 * points at itself, so unlinking twice is harmless.
 *
 *     list_for_each(n, &q->requests)
 *             struct request *r = container_of(n, struct request, link);
 */

#include <stdbool.h>

struct list {
	struct list *next, *prev;
};

#define LIST_INIT(name)                                                                            \
	{                                                                                          \
		&(name), &(name)                                                                   \
	}

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

static inline bool list_linked(const struct list *n)
{
	return n->next != n;
}

/* Puts `n` after `at`: with a head, at the front. */
static inline void list_add_after(struct list *at, struct list *n)
{
	n->prev = at;
	n->next = at->next;
	at->next->prev = n;
	at->next = n;
}

static inline void list_push_front(struct list *head, struct list *n)
{
	list_add_after(head, n);
}

static inline void list_push_back(struct list *head, struct list *n)
{
	list_add_after(head->prev, n);
}

static inline void list_remove(struct list *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	list_init(n);
}

static inline struct list *list_first(const struct list *head)
{
	return head->next == head ? (struct list *)0 : head->next;
}

static inline struct list *list_last(const struct list *head)
{
	return head->prev == head ? (struct list *)0 : head->prev;
}

static inline struct list *list_pop(struct list *head)
{
	struct list *n = list_first(head);

	if (n)
		list_remove(n);
	return n;
}

/* Moves all of `from` to the end of `to`. */
static inline void list_splice_back(struct list *to, struct list *from)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	list_init(from);
}

#define list_for_each(n, head) for (struct list *n = (head)->next; n != (head); n = n->next)
/* Safe when the body removes `n` (but not its neighbour). */
#define list_for_each_safe(n, head)                                                                \
	for (struct list *n = (head)->next, *n##_next = n->next; n != (head);                      \
	     n = n##_next, n##_next = n->next)
