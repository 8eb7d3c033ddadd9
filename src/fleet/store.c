/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/store.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/util.h"

void store_init(struct store *s)
{
	map_init(&s->models);
}

void store_finish(struct store *s)
{
	assert(s->models.n == 0);
	map_finish(&s->models);
}

struct model *store_model(const struct store *s, struct slice name)
{
	return map_get(&s->models, name);
}

struct version *model_version(const struct model *m, struct slice version)
{
	if (!version.p)
		return m->default_version;
	list_for_each (n, &m->versions) {
		struct version *v = container_of(n, struct version, link);

		if (slice_eq(slice_str(v->name), version))
			return v;
	}
	return NULL;
}

/* Archives load side by side: the one that was asked for later may be there first. */
static void store_put_in_order(struct model *m, struct version *v)
{
	list_for_each (n, &m->versions) {
		if (container_of(n, struct version, link)->order < v->order)
			continue;
		list_push_back(n, &v->link); /* before it */
		return;
	}
	list_push_back(&m->versions, &v->link);
}

/* Of those that are loaded at start the first one asked for is the default. */
static bool model_prefers(const struct model *m, const struct version *v)
{
	const struct version *now = m->default_version;

	return !m->default_chosen && now->loaded_at_startup && v->loaded_at_startup &&
	       v->order < now->order;
}

void store_add(struct store *s, struct version *v, struct slice model_name)
{
	struct model *m = store_model(s, model_name);

	if (!m) {
		m = mem_new(struct model);
		m->name = slice_dup(model_name);
		list_init(&m->versions);
		map_set(&s->models, model_name, m);
	}
	v->model = m;
	store_put_in_order(m, v);
	if (!m->default_version || model_prefers(m, v))
		m->default_version = v;
	m->loaded_at_startup |= v->loaded_at_startup;
}

void model_set_default(struct model *m, struct version *v)
{
	assert(v->model == m);
	m->default_version = v;
	m->default_chosen = true;
}

void store_remove(struct store *s, struct version *v)
{
	struct model *m = v->model;

	list_remove(&v->link);
	v->model = NULL;
	if (m->default_version == v) {
		struct list *first = list_first(&m->versions);

		m->default_version = first ? container_of(first, struct version, link) : NULL;
	}
	if (m->default_version)
		return;
	map_remove(&s->models, slice_str(m->name));
	free(m->name);
	free(m);
}

static int store_compare(const void *a, const void *b)
{
	struct model *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

struct model **store_sorted(const struct store *s, size_t *ret_n)
{
	struct model **all = mem_alloc(s->models.n * sizeof(*all));
	size_t n = 0;

	map_for_each (e, &s->models)
		all[n++] = e->value;
	qsort(all, n, sizeof(*all), store_compare);
	*ret_n = n;
	return all;
}
