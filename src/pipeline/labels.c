/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/labels.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/util.h"

struct labels {
	yyjson_doc *doc; /* has the names */
	struct label *all;
	size_t n;
};

struct labels *labels_free(struct labels *l)
{
	if (!l)
		return NULL;
	yyjson_doc_free(l->doc);
	free(l->all);
	free(l);
	return NULL;
}

static int by_class(const void *a, const void *b)
{
	const struct label *x = a, *y = b;

	return x->class < y->class ? -1 : x->class > y->class;
}

/* Of two names for one class the one that comes last in the file counts: it lies behind. */
static int by_class_and_place(const void *a, const void *b)
{
	const struct label *x = a, *y = b;
	int r = by_class(a, b);

	return r ? r : x->name.p < y->name.p ? -1 : x->name.p > y->name.p;
}

static int by_name(const void *a, const void *b)
{
	const struct slice *x = &(*(struct label *const *)a)->name;
	const struct slice *y = &(*(struct label *const *)b)->name;
	int r = memcmp(x->p, y->p, MIN(x->n, y->n));

	return r ? r : x->n < y->n ? -1 : x->n > y->n;
}

/* As Python writes the number; other keys are never asked for. */
static bool class_of_key(struct slice key, int64_t *ret)
{
	char text[24];

	if (!slice_i64(key, ret))
		return false;
	snprintf(text, sizeof(text), "%lld", (long long)*ret);
	return slice_eq(slice_str(text), key);
}

static void labels_add(struct labels *l, int64_t class, yyjson_val *name)
{
	l->all[l->n++] =
		(struct label){ class, { yyjson_get_str(name), yyjson_get_len(name) }, false };
}

/* False: something in it is no name. */
static bool labels_fill(struct labels *l, yyjson_val *root)
{
	yyjson_val *names = yyjson_obj_get(root, "object_type_names"), *key, *v;
	size_t i, n;
	int64_t class;

	if (yyjson_is_arr(names)) {
		l->all = mem_alloc(MAX(yyjson_arr_size(names), 1) * sizeof(*l->all));
		yyjson_arr_foreach(names, i, n, v)
		{
			if (!yyjson_is_str(v))
				return false;
			labels_add(l, (int64_t)i, v);
		}
		return true;
	}
	l->all = mem_alloc(MAX(yyjson_obj_size(root), 1) * sizeof(*l->all));
	yyjson_obj_foreach(root, i, n, key, v)
	{
		v = yyjson_is_arr(v) ? yyjson_arr_get_last(v) : v;
		if (!yyjson_is_str(v))
			return false;
		if (class_of_key(slice_make(yyjson_get_str(key), yyjson_get_len(key)), &class))
			labels_add(l, class, v);
	}
	return true;
}

static void labels_sort(struct labels *l)
{
	struct label **names;
	size_t n = 0;

	qsort(l->all, l->n, sizeof(*l->all), by_class_and_place);
	for (size_t i = 0; i < l->n; i++)
		if (i + 1 == l->n || l->all[i].class != l->all[i + 1].class)
			l->all[n++] = l->all[i];
	l->n = n;
	names = mem_alloc(MAX(n, 1) * sizeof(*names));
	for (size_t i = 0; i < n; i++)
		names[i] = &l->all[i];
	qsort(names, n, sizeof(struct label *), by_name);
	for (size_t i = 1; i < n; i++)
		if (slice_eq(names[i]->name, names[i - 1]->name))
			names[i]->shared = names[i - 1]->shared = true;
	free(names);
}

struct labels *labels_parse(struct slice json, struct sconce_error *e)
{
	struct labels *l = mem_new(struct labels);
	yyjson_read_err why = { 0 };

	l->doc = yyjson_read_opts((char *)(uintptr_t)(json.p ? json.p : ""), json.n, 0, NULL, &why);
	if (!l->doc) {
		snprintf(e->text, sizeof(e->text), "it is no JSON from byte %zu on: %s", why.pos,
			 why.msg ? why.msg : "it is empty");
		return labels_free(l);
	}
	if (!yyjson_is_obj(yyjson_doc_get_root(l->doc)) ||
	    !labels_fill(l, yyjson_doc_get_root(l->doc))) {
		snprintf(e->text, sizeof(e->text),
			 "it must be an object with a name, or a list of names, for each class");
		return labels_free(l);
	}
	labels_sort(l);
	return l;
}

struct labels *labels_read(const char *dir, const char *file, struct sconce_error *e)
{
	_cleanup_(freep) char *path = mem_printf("%s/%s", dir, file);
	struct buf text = BUF_INIT(LABELS_BYTES_MAX);
	struct sconce_error why = { "" };
	struct labels *l = NULL;
	int r;

	*e->text = '\0';
	if (*file == '/' || strstr(file, "..")) {
		snprintf(e->text, sizeof(e->text), "%.200s is no file of the archive", file);
		return NULL;
	}
	r = file_read(path, &text);
	if (!r)
		l = labels_parse(buf_slice(&text), &why);
	if (r == -ENOBUFS)
		snprintf(e->text, sizeof(e->text), "%.200s is larger than %zu MiB", file,
			 LABELS_BYTES_MAX >> 20);
	else if (r && r != -ENOENT && r != -ENOTSUP && r != -EISDIR)
		snprintf(e->text, sizeof(e->text), "%.200s cannot be read: %s", file, strerror(-r));
	else if (!r && !l)
		snprintf(e->text, sizeof(e->text), "%.200s: %.700s", file, why.text);
	buf_finish(&text);
	return l;
}

const struct label *labels_find(const struct labels *l, int64_t class)
{
	struct label key = { .class = class };

	return bsearch(&key, l->all, l->n, sizeof(*l->all), by_class);
}
