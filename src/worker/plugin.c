/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/plugin.h"

#include <dirent.h>
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/util.h"

#define PLUGIN_FILES_MAX 64

struct plugin_list {
	char **all;
	size_t n;
};

static bool plugin_known(const struct plugin_list *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(strrchr(l->all[i], '/') + 1, name) == 0)
			return true;
	return false;
}

static int plugin_wanted(const struct dirent *d)
{
	return d->d_name[0] != '.' && slice_ends(slice_str(d->d_name), SLICE(".so"));
}

static void plugin_list_folder(struct plugin_list *l, const char *folder)
{
	struct dirent **entries = NULL;
	int n = scandir(folder, &entries, plugin_wanted, alphasort);

	for (int i = 0; i < n; i++) {
		if (l->n < PLUGIN_FILES_MAX && !plugin_known(l, entries[i]->d_name))
			l->all[l->n++] = mem_printf("%s/%s", folder, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
}

char **plugin_files(size_t *ret_n)
{
	static const char *const beside[] = { "../lib/sconce/engines", "../share/sconce/engines",
					      "../engines" };
	struct plugin_list l = { .all = mem_zalloc(PLUGIN_FILES_MAX * sizeof(char *)) };
	struct slice path = slice_str(getenv("SCONCE_ENGINE_PATH"));

	while (path.p) {
		_cleanup_(freep) char *folder = slice_dup(slice_cut(&path, ':'));

		if (*folder)
			plugin_list_folder(&l, folder);
	}
	for (size_t i = 0; i < ARRAY_LEN(beside); i++) {
		_cleanup_(freep) char *folder = file_beside_us(beside[i]);

		if (folder)
			plugin_list_folder(&l, folder);
	}
	*ret_n = l.n;
	return l.all;
}

static int plugin_refuse(struct plugin *p, struct sconce_error *e, const char *why)
{
	snprintf(e->text, sizeof(e->text), "%s is no engine for this server: %s", p->file, why);
	plugin_close(p);
	return -1;
}

/* What every engine must have, within what it says it has. */
static bool plugin_is_whole(const struct sconce_engine *t)
{
	return t->size >= offsetof(struct sconce_engine, warm_up) && t->name && t->version &&
	       t->suffixes && t->load && t->signature && t->run;
}

/* ---- in place of what is left out ---- */

static int plugin_without_open(const struct sconce_host *host, void **ret, struct sconce_error *e)
{
	(void)host;
	(void)e;
	*ret = NULL;
	return 0;
}

static int plugin_without_instances(void *model, uint32_t index, void **ret, struct sconce_error *e)
{
	(void)index;
	(void)e;
	*ret = model;
	return 0;
}

static void plugin_without(void *thing)
{
	(void)thing;
}

static const struct sconce_engine *plugin_complete(const struct sconce_engine *table)
{
	struct sconce_engine *t = mem_new(struct sconce_engine);

	memcpy(t, table, MIN(table->size, sizeof(*t)));
	t->size = sizeof(*t);
	if (!t->open)
		t->open = plugin_without_open;
	if (!t->close)
		t->close = plugin_without;
	if (!t->unload)
		t->unload = plugin_without;
	if (!t->instance_create)
		t->instance_create = plugin_without_instances;
	if (!t->instance_destroy)
		t->instance_destroy = plugin_without;
	return t;
}

void plugin_info(const struct sconce_engine *table, void *engine, struct sconce_engine_info *ret)
{
	*ret = (struct sconce_engine_info){ .size = sizeof(*ret),
					    .runtime = table->name,
					    .version = table->version,
					    .devices = "cpu" };
	if (!table->info)
		return;
	*ret = (struct sconce_engine_info){ .size = sizeof(*ret) };
	table->info(engine, ret);
}

int plugin_open(struct plugin *p, const char *file, struct sconce_error *e)
{
	const struct sconce_engine *table;
	char why[256];

	*p = (struct plugin){ .file = mem_strdup(file) };
	p->library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
	if (!p->library)
		return plugin_refuse(p, e, dlerror());
	table = dlsym(p->library, SCONCE_ENGINE_SYMBOL);
	if (!table)
		return plugin_refuse(p, e, "it does not export " SCONCE_ENGINE_SYMBOL);
	if (table->abi != SCONCE_ENGINE_ABI) {
		snprintf(why, sizeof(why),
			 "it was built for interface %u, and this is %u: build it again with the "
			 "sconce/engine.h of sconce %s",
			 table->abi, SCONCE_ENGINE_ABI, SCONCE_VERSION);
		return plugin_refuse(p, e, why);
	}
	if (!plugin_is_whole(table))
		return plugin_refuse(p, e, "its table lacks functions that every engine has");
	p->table = plugin_complete(table);
	return 0;
}

void plugin_close(struct plugin *p)
{
	if (p->library)
		dlclose(p->library);
	free((void *)(uintptr_t)p->table);
	free(p->file);
	*p = (struct plugin){ 0 };
}

int plugin_takes(const struct plugin *p, struct slice file)
{
	struct slice rest = slice_str(p->table->suffixes);

	while (rest.p) {
		struct slice suffix = slice_cut(&rest, ' ');

		if (suffix.n && slice_ends(file, suffix))
			return 1;
	}
	return 0;
}

/* Why it was not found, and what stood in the way. */
static int plugin_not_found(const char *name, const char *file, struct buf *refused,
			    struct sconce_error *e)
{
	const char *shown = *name ? name : file;

	snprintf(e->text, sizeof(e->text), "%s \"%.300s\"%.600s",
		 *name ? "there is no engine" : "no engine takes", shown,
		 refused->n ? buf_cstr(refused) : " (`sconce engines` lists those there are)");
	buf_finish(refused);
	return -1;
}

/* A file may well be called as its engine is: that one first, so that no other is loaded. */
static void plugin_sort(char **files, size_t n, const char *name)
{
	_cleanup_(freep) char *wanted = mem_printf("/%s.so", name);

	for (size_t i = 0; *name && i < n; i++) {
		char *file = files[i];

		if (!slice_ends(slice_str(file), slice_str(wanted)))
			continue;
		memmove(files + 1, files, i * sizeof(*files));
		files[0] = file;
	}
}

int plugin_find(struct plugin *p, size_t *from, const char *name, const char *file,
		struct sconce_error *e)
{
	struct buf refused = BUF_INIT(SCONCE_ERROR_MAX);
	size_t n, i;
	char **files = plugin_files(&n);
	bool found = false;

	plugin_sort(files, n, name);
	for (i = *from; i < n && !found; i++) {
		struct sconce_error why = { "" };

		if (plugin_open(p, files[i], &why) < 0) {
			buf_printf(&refused, "; %s", why.text);
			continue;
		}
		found = *name ? strcmp(p->table->name, name) == 0
			      : plugin_takes(p, slice_str(file));
		if (!found)
			plugin_close(p);
	}
	*from = i;
	for (i = 0; i < n; i++)
		free(files[i]);
	free(files);
	if (!found)
		return plugin_not_found(name, file, &refused, e);
	buf_finish(&refused);
	return 0;
}
