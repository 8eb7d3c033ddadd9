/* SPDX-License-Identifier: Apache-2.0 */
#include "log/half.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "base/util.h"

/* What stands before each item. */
struct log_record {
	uint32_t n;
	uint16_t tail;
	uint16_t file; /* LOG_FILES: values */
};

static_assert(sizeof(struct log_record) <= LOG_HALF_SLACK, "as the header says");
static_assert(LINE_HEAD <= UINT16_MAX, "a tail fits its field");
static_assert(LINE_HEAD + LINE_LONG_MAX <= UINT32_MAX, "and a line its own");

struct log_half *log_half_create(size_t room)
{
	struct log_half *h = mem_alloc(sizeof(*h) + room);

	h->room = room;
	log_half_clear(h);
	return h;
}

void log_half_clear(struct log_half *h)
{
	h->n = 0;
	h->values = false;
}

struct log_half *log_half_destroy(struct log_half *h)
{
	free(h);
	return NULL;
}

/* Room for an item of `n` bytes; NULL when there is none. */
static char *log_half_add(struct log_half *h, size_t n, size_t tail, unsigned file)
{
	struct log_record r = { (uint32_t)n, (uint16_t)tail, (uint16_t)file };
	char *at = h->p + h->n;

	if (n + sizeof(r) > h->room - h->n)
		return NULL;
	memcpy(at, &r, sizeof(r));
	h->n += sizeof(r) + n;
	return at + sizeof(r);
}

bool log_half_put(struct log_half *h, enum log_file file, struct slice line, size_t tail)
{
	char *at = log_half_add(h, line.n, tail, file);

	if (at)
		memcpy(at, line.p, line.n);
	return at;
}

bool log_half_put_values(struct log_half *h, const struct log_values_head *head,
			 const struct log_value *values, const char *thread, const char *ids)
{
	size_t of_values = head->n * sizeof(*values);
	char *at = log_half_add(h, sizeof(*head) + of_values + head->thread_n + head->ids_n, 0,
				LOG_FILES);

	if (!at)
		return false;
	h->values = true;
	memcpy(at, head, sizeof(*head));
	memcpy(at + sizeof(*head), values, of_values);
	memcpy(at + sizeof(*head) + of_values, thread, head->thread_n);
	if (head->ids_n)
		memcpy(at + sizeof(*head) + of_values + head->thread_n, ids, head->ids_n);
	return true;
}

bool log_half_next(const struct log_half *h, size_t *at, struct log_item *ret)
{
	const char *p = h->p + *at;
	struct log_record r;

	if (*at == h->n)
		return false;
	memcpy(&r, p, sizeof(r));
	p += sizeof(r);
	*at += sizeof(r) + r.n;
	assert(*at <= h->n);
	ret->file = (enum log_file)r.file;
	if (r.file != LOG_FILES) {
		ret->line = slice_make(p, r.n);
		ret->tail = r.tail;
		return true;
	}
	ret->line = SLICE_NULL;
	memcpy(&ret->head, p, sizeof(ret->head));
	ret->values = p + sizeof(ret->head);
	ret->thread = slice_make(ret->values + ret->head.n * sizeof(struct log_value),
				 ret->head.thread_n);
	ret->ids = slice_make(ret->thread.p + ret->thread.n, ret->head.ids_n);
	return true;
}
