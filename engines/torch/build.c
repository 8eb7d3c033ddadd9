/* SPDX-License-Identifier: Apache-2.0 */
#include "torch.h"

/*
 * The shim is made once for each torch, and kept: in the cache, or beside this plug-in, where who
 * makes an image has put it. Whoever needs it first makes it while others
 * wait: a lock that ends with its holder and the compiler that this one has started. It appears
 * under its name only when it is whole.
 */

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "compiler.h"

/* ---- where it is ---- */

/* Texts in the libraries of a torch have one of two layouts, which all of its users share. */
static bool has_new_texts(const struct torch *t)
{
	static const char mark[] = "7__cxx1112basic_string";
	char path[KIT_PATH_MAX + 16];
	bool found = true;
	struct stat st;
	void *p;
	int fd;

	snprintf(path, sizeof(path), "%s/lib/libc10.so", t->folder);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size) {
		p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (p != MAP_FAILED) {
			found = memmem(p, (size_t)st.st_size, mark, sizeof(mark) - 1);
			munmap(p, (size_t)st.st_size);
		}
	}
	if (fd >= 0)
		close(fd);
	return found;
}

/* In a folder, under a name that says for which torch it is. */
static int place_in(struct torch *t, const char *folder, uint64_t hash, struct sconce_error *e)
{
	if (snprintf(t->shim, sizeof(t->shim), "%s/torch-%s-%016llx%s.so", folder, t->version,
		     (unsigned long long)hash, has_new_texts(t) ? "" : "-old") >= KIT_PATH_MAX)
		return kit_fail(e, -1, "the path of the cache is too long: %.500s", folder);
	return 0;
}

int torch_shim_place(struct torch *t, struct sconce_error *e)
{
	const char *cache = SCONCE_HAS(t->host, cache) ? t->host->cache : NULL;
	char source[KIT_PATH_MAX], own[KIT_PATH_MAX + 16];
	uint64_t hash;

	if (source_folder(source, sizeof(source)) < 0 || source_hash(source, &hash) < 0)
		return kit_fail(e, -1,
				"the source of the engine's C++ half is not where it belongs, "
				"%.500s: install sconce again",
				source);
	snprintf(own, sizeof(own), "%s/../built", source);
	if (place_in(t, own, hash, e) == 0 && torch_shim_is_built(t))
		return 0;
	if (!cache || !*cache)
		return kit_fail(e, -1,
				"there is no folder to keep what is built for PyTorch in: set "
				"SCONCE_CACHE_DIR, or cache_dir of the server");
	return place_in(t, cache, hash, e);
}

/* What somebody else could have put there is not run. */
bool torch_shim_is_built(const struct torch *t)
{
	struct stat st;

	return stat(t->shim, &st) == 0 && S_ISREG(st.st_mode) && !(st.st_mode & S_IWOTH) &&
	       (st.st_uid == geteuid() || !st.st_uid);
}

/* ---- making it ---- */

/* Those of a process that was killed. The lock is held. */
static void remove_unfinished(const struct torch *t)
{
	char pattern[KIT_PATH_MAX + 16];
	glob_t found = { 0 };

	snprintf(pattern, sizeof(pattern), "%s.??????", t->shim);
	if (glob(pattern, 0, NULL, &found) == 0)
		for (size_t i = 0; i < found.gl_pathc; i++)
			unlink(found.gl_pathv[i]);
	globfree(&found);
}

static int compile_as(const struct torch *t, const char *out, int lock, bool outlives,
		      struct sconce_error *e)
{
	char source[KIT_PATH_MAX], file[KIT_PATH_MAX + 16], include[KIT_PATH_MAX + 16],
		api[KIT_PATH_MAX + 64], lib[KIT_PATH_MAX + 16], own[KIT_PATH_MAX + 16];
	const char *const arguments[] = {
		"-std=c++20",
		"-O1",
		"-fPIC",
		"-shared",
		"-fvisibility=hidden",
		"-w",
		has_new_texts(t) ? "-D_GLIBCXX_USE_CXX11_ABI=1" : "-D_GLIBCXX_USE_CXX11_ABI=0",
		own,
		include,
		api,
		file,
		"-o",
		out,
		lib,
		"-ltorch_cpu",
		"-lc10",
		NULL,
	};

	source_folder(source, sizeof(source));
	snprintf(file, sizeof(file), "%s/shim.cpp", source);
	snprintf(own, sizeof(own), "-I%s", source);
	snprintf(include, sizeof(include), "-I%s/include", t->folder);
	snprintf(api, sizeof(api), "-I%s/include/torch/csrc/api/include", t->folder);
	snprintf(lib, sizeof(lib), "-L%s/lib", t->folder);
	return compiler_run(
		&(struct compilation){ arguments, out, t->shim, t->version, lock, outlives }, e);
}

static int build_locked(const struct torch *t, int lock, bool outlives, struct sconce_error *e)
{
	char out[KIT_PATH_MAX + 16];
	int fd, r;

	/* By another process, while this one waited. */
	if (torch_shim_is_built(t))
		return 0;
	remove_unfinished(t);
	snprintf(out, sizeof(out), "%s.XXXXXX", t->shim);
	fd = mkostemp(out, O_CLOEXEC);
	if (fd < 0)
		return kit_fail(e, -1, "%.500s: %s", out, strerror(errno));
	close(fd);
	r = compile_as(t, out, lock, outlives, e);
	if (r)
		unlink(out);
	return r;
}

int torch_shim_build(struct torch *t, bool outlives, struct sconce_error *e)
{
	char lock[KIT_PATH_MAX + 16];
	int fd, r;

	if (torch_shim_is_built(t))
		return 0;
	snprintf(lock, sizeof(lock), "%s.lock", t->shim);
	fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return kit_fail(e, -1, "what is built for PyTorch cannot be kept: %.500s: %s", lock,
				strerror(errno));
	while ((r = flock(fd, LOCK_EX)) < 0 && errno == EINTR)
		;
	if (r < 0)
		kit_fail(e, -1, "%.500s: %s", lock, strerror(errno));
	else
		r = build_locked(t, fd, outlives, e);
	close(fd);
	return r;
}
