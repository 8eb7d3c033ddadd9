/* SPDX-License-Identifier: Apache-2.0 */
#include "archive/collect.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/util.h"

#define COLLECT_DEPTH_MAX 32

static const char *const default_handlers[] = {
	"base_handler",    "text_classifier",       "image_classifier", "object_detector",
	"image_segmenter", "dali_image_classifier", "vllm_handler",     "trt_llm_handler",
};

static bool collect_default_handler(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(default_handlers); i++)
		if (strcmp(name, default_handlers[i]) == 0)
			return true;
	return false;
}

static bool collect_name_valid(const char *name)
{
	if (!isalnum((unsigned char)*name))
		return false;
	for (const char *p = name; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("_-.", *p))
			return false;
	return true;
}

int collect_check(const struct archive_spec *s, struct buf *why)
{
	if (!collect_name_valid(s->model_name)) {
		buf_printf(
			why,
			"Model name contains special characters.\nThe allowed regular expression "
			"filter for model name is: ^[A-Za-z0-9][A-Za-z0-9_\\-.]*$");
		return -EINVAL;
	}
	if (!s->handler && !(s->runtime && strcmp(s->runtime, "LSP") == 0)) {
		buf_puts(why, "The following argument is required: --handler");
		return -EINVAL;
	}
	if (s->runtime && strcmp(s->runtime, "python") != 0 && strcmp(s->runtime, "python3") != 0 &&
	    strcmp(s->runtime, "LSP") != 0) {
		buf_printf(why, "Unknown runtime '%s'; allowed: python, python3, LSP", s->runtime);
		return -EINVAL;
	}
	return 0;
}

static const char *collect_base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* The later of two with one name wins, as when TorchServe copies over. */
static void collect_put(struct collection *c, const char *path, const char *name)
{
	for (size_t i = 0; i < c->n; i++) {
		if (strcmp(c->all[i].name, name) != 0)
			continue;
		free(c->all[i].path);
		c->all[i].path = mem_strdup(path);
		return;
	}
	c->all = mem_realloc(c->all, (c->n + 1) * sizeof(*c->all));
	c->all[c->n++] = (struct collected){ mem_strdup(path), mem_strdup(name) };
}

static int collect_missing(struct buf *why, const char *path)
{
	buf_printf(why, "Given file %s does not exist or cannot be read: %s", path,
		   strerror(errno));
	return -ENOENT;
}

static int collect_file(struct collection *c, const char *path, struct buf *why)
{
	struct stat st;

	if (!path)
		return 0;
	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode) || access(path, R_OK) < 0)
		return collect_missing(why, path);
	collect_put(c, path, collect_base(path));
	return 0;
}

static int collect_folder(struct collection *c, const char *dir, const char *name, unsigned depth,
			  struct buf *why)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int r = 0;

	if (!d || depth > COLLECT_DEPTH_MAX) {
		if (d)
			closedir(d);
		return collect_missing(why, dir);
	}
	while (!r && (e = readdir(d))) {
		_cleanup_(freep) char *path = mem_printf("%s/%s", dir, e->d_name);
		_cleanup_(freep) char *inside = mem_printf("%s%s%s", name, *name ? "/" : "",
							   e->d_name);
		struct stat st;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (stat(path, &st) < 0)
			r = collect_missing(why, path);
		else if (S_ISDIR(st.st_mode))
			r = collect_folder(c, path, inside, depth + 1, why);
		else if (S_ISREG(st.st_mode))
			collect_put(c, path, inside);
	}
	closedir(d);
	return r;
}

static int collect_path(struct collection *c, const char *path, struct buf *why)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return collect_missing(why, path);
	/* A folder stands for what is in it. */
	return S_ISDIR(st.st_mode) ? collect_folder(c, path, "", 0, why)
				   : collect_file(c, path, why);
}

static int collect_extra(struct collection *c, const char *list, struct buf *why)
{
	struct slice rest = slice_str(list);
	int r = 0;

	while (rest.p && !r) {
		_cleanup_(freep) char *pattern = slice_dup(slice_trim(slice_cut(&rest, ',')));
		glob_t found = { 0 };

		if (!*pattern)
			continue;
		if (glob(pattern, 0, NULL, &found) != 0) {
			r = collect_path(c, pattern, why);
			continue;
		}
		for (size_t i = 0; i < found.gl_pathc && !r; i++)
			r = collect_path(c, found.gl_pathv[i], why);
		globfree(&found);
	}
	return r;
}

static int collect_handler(struct collection *c, const char *handler, struct buf *why)
{
	struct slice rest = slice_str(handler);
	_cleanup_(freep) char *file = handler ? slice_dup(slice_cut(&rest, ':')) : NULL;
	_cleanup_(freep) char *with = NULL;

	if (!handler || collect_default_handler(file))
		return 0;
	with = slice_ends(slice_str(file), SLICE(".py")) ? mem_strdup(file)
							 : mem_printf("%s.py", file);
	if (access(file, F_OK) < 0 && access(with, F_OK) == 0)
		return collect_file(c, with, why);
	return collect_file(c, file, why);
}

static int collect_compare(const void *a, const void *b)
{
	const struct collected *x = a, *y = b;

	return strcmp(x->name, y->name);
}

int collect_files(const struct archive_spec *s, struct collection *ret, struct buf *why)
{
	int r = collect_file(ret, s->serialized_file, why);

	if (!r)
		r = collect_file(ret, s->model_file, why);
	if (!r)
		r = collect_handler(ret, s->handler, why);
	if (!r && s->extra_files)
		r = collect_extra(ret, s->extra_files, why);
	if (!r)
		r = collect_file(ret, s->requirements_file, why);
	if (!r)
		r = collect_file(ret, s->config_file, why);
	if (!r && ret->n)
		qsort(ret->all, ret->n, sizeof(*ret->all), collect_compare);
	return r;
}

void collection_finish(struct collection *c)
{
	for (size_t i = 0; i < c->n; i++) {
		free(c->all[i].path);
		free(c->all[i].name);
	}
	free(c->all);
	*c = (struct collection){ 0 };
}
