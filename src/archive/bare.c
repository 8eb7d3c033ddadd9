/* SPDX-License-Identifier: Apache-2.0 */
#include "archive/bare.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/util.h"

#define BARE_LOOK_MAX ((size_t)65536)
#define BARE_SAVED_MODEL "saved_model.pb"

/* `sign`: what a file of this ending has among its first or last bytes; NULL: the name says all.
 * `otherwise`: what one without it is. */
static const struct {
	const char *ending, *sign;
	bool at_end;
	const char *otherwise;
} bare_endings[] = {
	{ ".onnx", NULL, false, NULL },
	{ ".tflite", NULL, false, NULL },
	{ ".pdmodel", NULL, false, NULL },
	{ ".pt2", NULL, false, NULL },
	{ ".xml", "<net ", false, "is no model of OpenVINO's" },
	/* The list of a zip's files: TorchScript has code and its constants. */
	{ ".pt", "/code/", true,
	  "is no TorchScript; what torch.save() writes is a pickled Python object, which is not "
	  "read: save torch.jit.script(model) or torch.jit.trace(model, example) with .save(), "
	  "or put it into an archive with a Python handler" },
};

struct slice bare_ending(struct slice name)
{
	for (size_t i = 0; i < ARRAY_LEN(bare_endings); i++)
		if (slice_ends(name, slice_str(bare_endings[i].ending)) &&
		    name.n > strlen(bare_endings[i].ending))
			return slice_str(bare_endings[i].ending);
	return SLICE("");
}

static bool bare_has_sign(const char *path, const char *sign, bool at_end, off_t size)
{
	_cleanup_(freep) char *text = mem_alloc(BARE_LOOK_MAX);
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	off_t from = at_end ? MAX(size - (off_t)BARE_LOOK_MAX, 0) : 0;
	ssize_t n = fd >= 0 ? pread(fd, text, BARE_LOOK_MAX, from) : -1;

	return n > 0 && memmem(text, (size_t)n, sign, strlen(sign));
}

static bool bare_is_folder(const char *path)
{
	_cleanup_(freep) char *file = mem_printf("%s/" BARE_SAVED_MODEL, path);
	_cleanup_(freep) char *manifest = mem_printf("%s/MAR-INF", path);
	struct stat st;

	/* An archive's folder may have such a file for its handler. */
	return stat(file, &st) == 0 && S_ISREG(st.st_mode) && stat(manifest, &st) < 0;
}

bool bare_is_model(const char *path)
{
	struct slice ending = bare_ending(slice_str(path));
	struct stat st;

	if (stat(path, &st) < 0)
		return false;
	if (S_ISDIR(st.st_mode))
		return bare_is_folder(path);
	for (size_t i = 0; i < ARRAY_LEN(bare_endings); i++)
		if (S_ISREG(st.st_mode) && slice_eq(ending, slice_str(bare_endings[i].ending)))
			return !bare_endings[i].sign ||
			       bare_has_sign(path, bare_endings[i].sign, bare_endings[i].at_end,
					     st.st_size);
	return false;
}

const char *bare_otherwise(const char *path)
{
	struct slice ending = bare_ending(slice_str(path));

	for (size_t i = 0; i < ARRAY_LEN(bare_endings); i++)
		if (slice_eq(ending, slice_str(bare_endings[i].ending)))
			return bare_endings[i].otherwise;
	return NULL;
}

struct slice bare_file(const char *path)
{
	const char *slash = strrchr(path, '/');

	return bare_ending(slice_str(path)).n ? slice_str(slash ? slash + 1 : path)
					      : SLICE(BARE_SAVED_MODEL);
}
