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

#include "archive/bare.h"
#include "base/guess.h"
#include "base/mem.h"
#include "base/util.h"

#define COLLECT_DEPTH_MAX 32

static bool collect_name_valid(const char *name)
{
	if (!isalnum((unsigned char)*name))
		return false;
	for (const char *p = name; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("_-.", *p))
			return false;
	return true;
}

bool archive_spec_is_native(const struct archive_spec *s)
{
	return s->runtime && slice_eq(slice_str(s->runtime), BARE_RUNTIME);
}

static int collect_check_native(const struct archive_spec *s, struct buf *notes)
{
	const char *wrong = NULL;

	if (!archive_spec_is_native(s))
		return 0;
	if (s->handler && *s->handler)
		wrong = "an engine runs the model, and no handler: leave --handler out";
	else if (!s->serialized_file || !*s->serialized_file)
		wrong = "it needs --serialized-file, the model that an engine runs";
	if (wrong)
		buf_printf(notes, "ERROR - Runtime native: %s\n", wrong);
	return wrong ? -EINVAL : 0;
}

int collect_check(const struct archive_spec *s, struct buf *notes)
{
	static const char *const runtimes[] = { "python", "python3", "LSP", "native" };

	if (!collect_name_valid(s->model_name)) {
		buf_puts(notes, "ERROR - Model name contains special characters.\n"
				"The allowed regular expression filter for model name is: "
				"^[A-Za-z0-9][A-Za-z0-9_\\-.]*$\n");
		return -EINVAL;
	}
	for (size_t i = 0; i < ARRAY_LEN(runtimes); i++)
		if (strcmp(s->runtime ? s->runtime : "python", runtimes[i]) == 0)
			return collect_check_native(s, notes);
	buf_printf(notes, "ERROR - Unknown runtime '%s'; allowed: python, python3, LSP, native\n",
		   s->runtime);
	return -EINVAL;
}

static const char *collect_base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static void collect_put(struct collection *c, const char *path, const char *name)
{
	if (c->n == c->room) {
		c->room = MAX(2 * c->room, (size_t)64);
		c->all = mem_realloc(c->all, c->room * sizeof(*c->all));
	}
	c->all[c->n] = (struct collected){ mem_strdup(path), mem_strdup(name), c->n };
	c->n++;
}

static int collect_refuse(struct buf *notes, const char *path, const char *reason)
{
	buf_printf(notes, "ERROR - Given file %s cannot be packed: %s\n", path, reason);
	return -EINVAL;
}

static int collect_file(struct collection *c, const char *path, struct buf *notes)
{
	struct stat st;

	if (!path || !*path)
		return 0;
	if (stat(path, &st) < 0 || access(path, R_OK) < 0)
		return collect_refuse(notes, path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return collect_refuse(notes, path, "it is not a file");
	collect_put(c, path, collect_base(path));
	return 0;
}

/* ---- folders ---- */

static bool collect_unwanted_folder(const char *name)
{
	return *name == '.' || strcmp(name, "__MACOSX") == 0 || strcmp(name, "__pycache__") == 0;
}

static int collect_folder(struct collection *c, const char *dir, const char *name, unsigned depth,
			  struct buf *notes)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int r = 0;

	if (!d)
		return collect_refuse(notes, dir, strerror(errno));
	while (!r && (e = readdir(d))) {
		_cleanup_(freep) char *path = mem_printf("%s/%s", dir, e->d_name);
		_cleanup_(freep) char *inside = mem_printf("%s%s%s", name, *name ? "/" : "",
							   e->d_name);
		struct stat st;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (stat(path, &st) < 0)
			r = collect_refuse(notes, path, strerror(errno));
		else if (S_ISREG(st.st_mode))
			collect_put(c, path, inside);
		else if (!S_ISDIR(st.st_mode))
			r = collect_refuse(notes, path, "it is neither a file nor a folder");
		else if (depth == COLLECT_DEPTH_MAX)
			r = collect_refuse(notes, path, "folders are nested too deeply");
		else if (!collect_unwanted_folder(e->d_name))
			r = collect_folder(c, path, inside, depth + 1, notes);
	}
	closedir(d);
	return r;
}

/* A folder stands for what is in it. */
static int collect_path(struct collection *c, const char *path, struct buf *notes)
{
	struct stat st;

	if (stat(path, &st) < 0) {
		buf_printf(notes, "ERROR - File does not exist: %s\n", path);
		return -ENOENT;
	}
	return S_ISDIR(st.st_mode) ? collect_folder(c, path, "", 0, notes)
				   : collect_file(c, path, notes);
}

/* ---- what is named ---- */

/* A path that exists is taken as it is, even when it looks like a pattern. */
static int collect_pattern(struct collection *c, const char *pattern, struct buf *notes)
{
	glob_t found = { 0 };
	int r = 0;

	if (access(pattern, F_OK) == 0 || !strpbrk(pattern, "*?["))
		return collect_path(c, pattern, notes);
	if (glob(pattern, GLOB_NOESCAPE, NULL, &found) == GLOB_NOMATCH)
		buf_printf(notes, "WARNING - Given wildcard pattern did not match any file: %s\n",
			   pattern);
	for (size_t i = 0; i < found.gl_pathc && !r; i++)
		r = collect_path(c, found.gl_pathv[i], notes);
	globfree(&found);
	return r;
}

static int collect_extra(struct collection *c, const char *list, struct buf *notes)
{
	struct slice rest = slice_str(list);
	int r = 0;

	while (rest.p && !r) {
		_cleanup_(freep) char *pattern = slice_dup(slice_trim(slice_cut(&rest, ',')));

		if (*pattern)
			r = collect_pattern(c, pattern, notes);
	}
	return r;
}

static bool collect_is_one_of(const char *name, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

static void collect_guess(struct slice name, const char *const *names, size_t n, struct buf *notes)
{
	struct guess g = guess_begin(name);
	const char *meant = NULL;

	for (size_t i = 0; i < n; i++)
		if (guess_next(&g, slice_str(names[i])))
			meant = names[i];
	if (meant)
		buf_printf(notes, "Did you mean the handler %s, which servers have?\n", meant);
}

/* "file.py", "file", with ":function" or without; nothing for a handler that the server has. */
static int collect_handler(struct collection *c, const struct archive_spec *s, struct buf *notes)
{
	static const char *const python[] = {
		"base_handler",    "text_classifier",       "image_classifier", "object_detector",
		"image_segmenter", "dali_image_classifier", "vllm_handler",     "trt_llm_handler",
	};
	static const char *const native[] = { "BaseHandler", "TorchScriptHandler" };
	bool lsp = s->runtime && strcmp(s->runtime, "LSP") == 0;
	const char *ending = lsp ? ".so" : ".py";
	struct slice rest = slice_str(s->handler), file = slice_cut(&rest, ':');
	_cleanup_(freep) char *path = slice_ends(file, slice_str(ending))
					      ? slice_dup(file)
					      : mem_printf("%.*s%s", SLICE_ARG(file), ending);
	int r;

	if (lsp ? collect_is_one_of(s->handler, native, ARRAY_LEN(native))
		: collect_is_one_of(s->handler, python, ARRAY_LEN(python)))
		return 0;
	r = collect_file(c, path, notes);
	if (r < 0)
		collect_guess(file, lsp ? native : python,
			      lsp ? ARRAY_LEN(native) : ARRAY_LEN(python), notes);
	return r;
}

/* ---- one archive ---- */

static int collect_compare(const void *a, const void *b)
{
	const struct collected *x = a, *y = b;
	int r = strcmp(x->name, y->name);

	return r ? r : x->order < y->order ? -1 : 1;
}

static void collected_drop(struct collected *f)
{
	free(f->path);
	free(f->name);
}

/* Of two with one name the later one wins, as when TorchServe's tool copies over. The manifest is
 * always the one that is written now. */
static void collect_unique(struct collection *c, struct buf *notes)
{
	size_t kept = 0;

	for (size_t i = 0; i < c->n; i++) {
		struct collected *f = &c->all[i], *next = i + 1 < c->n ? f + 1 : NULL;
		bool again = next && strcmp(f->name, next->name) == 0;

		if (again && strcmp(f->path, next->path) != 0)
			buf_printf(notes,
				   "WARNING - Two files are called %s: %s is left out for %s\n",
				   f->name, f->path, next->path);
		if (again || strcmp(f->name, "MAR-INF/MANIFEST.json") == 0)
			collected_drop(f);
		else
			c->all[kept++] = *f;
	}
	c->n = kept;
}

static int collect_find(const void *name, const void *f)
{
	return strcmp(name, ((const struct collected *)f)->name);
}

/* A name may not be a file here and a folder there. */
static int collect_check_folders(const struct collection *c, struct buf *notes)
{
	for (size_t i = 0; i < c->n; i++) {
		_cleanup_(freep) char *name = mem_strdup(c->all[i].name);
		char *slash;

		while ((slash = strrchr(name, '/'))) {
			*slash = '\0';
			if (bsearch(name, c->all, c->n, sizeof(*c->all), collect_find))
				return collect_refuse(notes, c->all[i].path,
						      "another file has the name of its folder");
		}
	}
	return 0;
}

int collect_files(const struct archive_spec *s, struct collection *ret, struct buf *notes)
{
	int r = collect_file(ret, s->model_file, notes);

	if (!r)
		r = collect_file(ret, s->serialized_file, notes);
	if (!r && !archive_spec_is_native(s))
		r = collect_handler(ret, s, notes);
	if (!r && s->extra_files)
		r = collect_extra(ret, s->extra_files, notes);
	if (!r)
		r = collect_file(ret, s->requirements_file, notes);
	if (!r)
		r = collect_file(ret, s->config_file, notes);
	if (r || !ret->n)
		return r;
	qsort(ret->all, ret->n, sizeof(*ret->all), collect_compare);
	collect_unique(ret, notes);
	return collect_check_folders(ret, notes);
}

void collection_finish(struct collection *c)
{
	for (size_t i = 0; i < c->n; i++)
		collected_drop(&c->all[i]);
	free(c->all);
	*c = (struct collection){ 0 };
}
