/* SPDX-License-Identifier: Apache-2.0 */
#include "api/form.h"

#include "wire/http.h"

#define FORM_AT_ONCE ((size_t)128 << 10)
#define FORM_SHORT ((size_t)16 << 20) /* those that are longer do not hold up the others */

static bool form_is_urlencoded(struct slice header)
{
	static const struct slice type = SLICE_CONST("application/x-www-form-urlencoded");

	return slice_istarts(header, type) && slice_ieq(http_media_type(header), type);
}

static struct form *form_create(struct call *c, struct slice header)
{
	struct slice boundary = SLICE_NULL;
	struct form *f;

	if (slice_istarts(header, SLICE("multipart/"))) {
		boundary = http_param(&c->region, header, "boundary");
		if (!boundary.n)
			return NULL;
		/* The head it may lie in is gone when the client is. */
		boundary = region_copy(&c->region, boundary);
	} else if (!form_is_urlencoded(header)) {
		return NULL;
	}
	f = region_bytes(&c->region, sizeof(*f));
	f->boundary = boundary;
	f->n = 0;
	f->call = c;
	return f;
}

static void form_find(struct form *f)
{
	struct call *c = f->call;
	struct slice body = slice_make(c->body.block.p, c->body.used);

	if (f->boundary.n)
		f->result = multipart_parse(&c->region, body, f->boundary, f->parts,
					    FORM_FIELDS_MAX, &f->n);
	else
		f->result = form_parse_in_place(c->body.block.p, c->body.used, f->fields,
						FORM_FIELDS_MAX, &f->n);
}

/* In a thread: until it is done the call and its region are the form's. Of clients that have left
 * there may be as many as fit into memory, and who is behind them does not wait for that. */
static void form_run(struct work *w)
{
	struct form *f = container_of(w, struct form, work);

	if (!atomic_load(&f->left))
		form_find(f);
}

static void form_left(struct call *c)
{
	atomic_store(&c->form->left, true);
}

static void form_done(struct work *w)
{
	struct form *f = container_of(w, struct form, work);
	struct call *c = f->call;

	c->waiting = NULL;
	c->left = NULL;
	if (c->x)
		f->ready(c);
	call_maybe_free(c);
}

bool form_read_ahead(struct call *c, void (*ready)(struct call *c))
{
	struct form *f;

	if (c->body.used <= FORM_AT_ONCE)
		return false;
	f = form_create(c, http_head_get(&c->x->head, "content-type"));
	if (!f)
		return false;
	f->ready = ready;
	atomic_init(&f->left, false);
	c->form = c->waiting = f;
	c->left = form_left;
	lane_add(c->body.used > FORM_SHORT ? &c->api->long_forms : &c->api->forms, &f->work,
		 form_run, form_done);
	return true;
}

const struct form *form_read(struct call *c, struct slice header)
{
	struct form *f = c->form;

	if (f)
		return f;
	f = form_create(c, header);
	if (f)
		form_find(f);
	return f;
}
