/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/sources.h"

#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "archive/allowed.h"
#include "archive/bare.h"
#include "base/file.h"
#include "base/guess.h"
#include "base/mem.h"

#define NOT_FOUND "ModelNotFoundException"

/* Of archives' names. */
static const char *const source_endings[] = { ".mar", ".model", ".tar.gz", ".tgz" };

static void source_refuse(struct source *s, int status, const char *type, const char *fmt,
			  const char *url)
{
	struct slice f = slice_str(fmt), head = slice_cut(&f, '%');

	s->status = status;
	s->type = type;
	s->message = mem_printf("%.*s%s%.*s", SLICE_ARG(head), f.p ? url : "", SLICE_ARG(f));
}

struct slice source_stem(const char *name)
{
	const char *slash = strrchr(name, '/');
	struct slice stem = slice_str(slash ? slash + 1 : name);

	for (size_t i = 0; i < ARRAY_LEN(source_endings); i++)
		if (slice_ends(stem, slice_str(source_endings[i])))
			return slice_make(stem.p, stem.n - strlen(source_endings[i]));
	return slice_make(stem.p, stem.n - bare_ending(stem).n);
}

/* It is not in the store: is something there that is called nearly so? */
static void source_not_found(const struct settings *s, const char *url, struct source *ret)
{
	struct guess g = guess_begin(source_stem(url));
	const char *meant = NULL;
	char **all;
	size_t n;

	source_refuse(ret, 404, NOT_FOUND, "Model not found at: %", url);
	if (strstr(url, "://"))
		return;
	if (!s->model_store) {
		free(ret->message);
		ret->message = mem_printf("Model not found at: %s. The server has no model_store.",
					  url);
		return;
	}
	all = source_list(s, &n);
	for (size_t i = 0; i < n; i++)
		if (guess_next(&g, source_stem(all[i])))
			meant = all[i];
	if (meant) {
		free(ret->message);
		ret->message = mem_printf("Model not found at: %s. Did you mean '%s'?", url, meant);
	}
	for (size_t i = 0; i < n; i++)
		free(all[i]);
	free(all);
}

static char *source_existing(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? realpath(path, NULL) : NULL;
}

/* Links resolved. */
static char *source_at(const char *store, const char *url)
{
	_cleanup_(freep) char *joined = url[0] == '/' ? mem_strdup(url)
						      : mem_printf("%s/%s", store, url);
	char *path = source_existing(joined);
	size_t n = strlen(store);

	/* An administrator may link archives into the store; a client may not point out of it. */
	if (path && url[0] == '/' && (strncmp(path, store, n) != 0 || path[n] != '/'))
		free(TAKE(path));
	return path;
}

/* A bare path: only inside the model store. TorchServe looks at nothing but its last word, so a
 * path of another machine finds an archive here too. */
static char *source_in_store(const struct settings *s, const char *url)
{
	_cleanup_(freep) char *store = s->model_store ? realpath(s->model_store, NULL) : NULL;
	const char *last = strrchr(url, '/');
	char *path;

	if (!store)
		return NULL;
	path = source_at(store, url);
	if (!path && last && last[1] && !strstr(url, "://"))
		path = source_at(store, last + 1);
	return path;
}

/* "http://localhost:aaaa": not a URL at all. */
static bool source_has_bad_port(const char *url)
{
	const char *host = strstr(url, "://") + 3;
	struct slice rest = slice_make(host, strcspn(host, "/?#"));
	ptrdiff_t user = slice_find(rest, '@'), bracket, colon;
	uint64_t port;

	if (user >= 0)
		rest = slice_make(rest.p + user + 1, rest.n - (size_t)user - 1);
	bracket = slice_find(rest, ']');
	if (bracket >= 0)
		rest = slice_make(rest.p + bracket, rest.n - (size_t)bracket);
	colon = slice_find(rest, ':');
	if (colon < 0 || (size_t)colon + 1 == rest.n)
		return false;
	return !slice_u64(slice_make(rest.p + colon + 1, rest.n - (size_t)colon - 1), &port) ||
	       port > 65535;
}

static void source_remote(const struct settings *s, const char *url, const char *folder,
			  struct source *ret)
{
	_cleanup_(freep) char *name = url_file_name(url);

	if (source_has_bad_port(url))
		source_refuse(ret, 400, "DownloadArchiveException",
			      "Failed to download archive from: %. Its port is no number up to "
			      "65535",
			      url);
	else if (name)
		ret->download = mem_printf("%s/%s", s->model_store ? s->model_store : folder, name);
	else
		source_refuse(ret, 400, "DownloadArchiveException",
			      "Failed to download archive from: %: its path does not end with the "
			      "name of a file",
			      url);
}

void source_resolve(const struct settings *s, const char *url, const char *folder,
		    struct source *ret)
{
	bool file = strncasecmp(url, "file://", 7) == 0;
	bool http = strncasecmp(url, "http://", 7) == 0 || strncasecmp(url, "https://", 8) == 0;

	*ret = (struct source){ 0 };
	if (!*url) {
		source_refuse(ret, 404, NOT_FOUND, "empty url", "");
	} else if ((file || http) && !url_allowed(s->allowed_urls, url)) {
		source_refuse(ret, 404, NOT_FOUND, "Given URL % does not match any allowed URL(s)",
			      url);
	} else if (strstr(url, "..")) {
		source_refuse(ret, 404, NOT_FOUND, "Relative path is not allowed in url: %", url);
	} else if (http) {
		source_remote(s, url, folder, ret);
	} else {
		ret->path = file ? source_existing(url + 7) : source_in_store(s, url);
		if (!ret->path && file)
			source_refuse(ret, 400, "DownloadArchiveException",
				      "Failed to download archive from: %. The server's machine "
				      "has no such file, or it cannot be read there",
				      url);
		else if (!ret->path)
			source_not_found(s, url, ret);
	}
}

void source_claim(struct source *s, bool reuse)
{
	char *slash = s->download ? strrchr(s->download, '/') : NULL;
	struct stat st;

	if (!slash)
		return;
	if (lstat(s->download, &st) < 0) {
		*slash = '\0';
		file_make_dirs(s->download, 0755); /* that it failed shows when it is written to */
		*slash = '/';
	} else if (reuse) {
		s->path = TAKE(s->download);
	} else {
		source_refuse(s, 500, "InternalServerException", "Model file already exists %",
			      slash + 1);
		free(TAKE(s->download));
	}
}

void source_finish(struct source *s)
{
	free(s->path);
	free(s->download);
	free(s->message);
	*s = (struct source){ 0 };
}

static int source_wanted(const struct dirent *d)
{

	if (d->d_name[0] == '.')
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(source_endings); i++)
		if (slice_ends(slice_str(d->d_name), slice_str(source_endings[i])))
			return 1;
	if (bare_ending(slice_str(d->d_name)).n)
		return 1;
	return d->d_type == DT_DIR || d->d_type == DT_LNK || d->d_type == DT_UNKNOWN;
}

static bool source_loadable(const struct settings *s, const char *name)
{
	_cleanup_(freep) char *path = mem_printf("%s/%s", s->model_store, name);
	struct stat st;

	if (stat(path, &st) < 0)
		return false;
	if (bare_ending(slice_str(name)).n)
		return bare_is_model(path);
	return S_ISREG(st.st_mode) ? slice_ends(slice_str(name), SLICE(".mar")) ||
					     slice_ends(slice_str(name), SLICE(".model")) ||
					     slice_ends(slice_str(name), SLICE(".gz")) ||
					     slice_ends(slice_str(name), SLICE(".tgz"))
				   : S_ISDIR(st.st_mode);
}

char **source_list(const struct settings *s, size_t *ret_n)
{
	struct dirent **entries = NULL;
	int n = s->model_store ? scandir(s->model_store, &entries, source_wanted, alphasort) : 0;
	char **all = mem_alloc((size_t)(MAX(n, 0) + 1) * sizeof(*all));

	*ret_n = 0;
	for (int i = 0; i < n; i++) {
		if (source_loadable(s, entries[i]->d_name))
			all[(*ret_n)++] = mem_strdup(entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	return all;
}
