/* SPDX-License-Identifier: Apache-2.0 */
#include "openvino.h"

/*
 * That this OpenVINO has compiled a model on this processor, under this mask of processors: an
 * empty file in the host's cache, whose name is a hash of all these. Failures are not kept: whoever
 * repairs something should not have to know of it.
 */

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES 8192

static void hash_text(uint64_t *hash, const char *text)
{
	kit_hash(hash, text, strlen(text) + 1);
}

/* What the first processor is and has. */
static void hash_processor(uint64_t *hash)
{
	char line[LINE_MAX_BYTES];
	FILE *f = fopen("/proc/cpuinfo", "re");

	while (f && fgets(line, sizeof(line), f) && *line != '\n')
		if (strncmp(line, "model", 5) == 0 || strncmp(line, "stepping", 8) == 0 ||
		    strncmp(line, "microcode", 9) == 0 || strncmp(line, "flags", 5) == 0 ||
		    strncmp(line, "CPU ", 4) == 0 || strncmp(line, "Features", 8) == 0)
			hash_text(hash, line);
	if (f)
		fclose(f);
}

/* Negative: it cannot be remembered. */
static int tried_path(const struct openvino *o, char *ret, size_t room)
{
	const char *cache = SCONCE_HAS(o->host, cache) ? o->host->cache : NULL;
	uint64_t hash = KIT_HASH_BEGIN;
	struct sconce_error ignored;
	struct kit_file file = { 0 };
	cpu_set_t mask;

	if (!cache || !*cache || kit_file_read(&file, o->path, &ignored) < 0)
		return -1;
	memset(&mask, 0, sizeof(mask));
	if (sched_getaffinity(0, sizeof(mask), &mask) < 0)
		return -1;
	hash_text(&hash, o->version);
	hash_text(&hash, o->path);
	kit_hash(&hash, &file.size, sizeof(file.size));
	kit_hash(&hash, &file.changed.tv_sec, sizeof(file.changed.tv_sec));
	hash_processor(&hash);
	kit_hash(&hash, &mask, sizeof(mask));
	return snprintf(ret, room, "%s/openvino-%016llx.tried", cache, (unsigned long long)hash) <
			       (int)room
		       ? 0
		       : -1;
}

bool openvino_was_tried(const struct openvino *o)
{
	char path[KIT_PATH_MAX];

	return tried_path(o, path, sizeof(path)) == 0 && access(path, F_OK) == 0;
}

void openvino_remember_tried(const struct openvino *o)
{
	char path[KIT_PATH_MAX];
	int fd = tried_path(o, path, sizeof(path)) == 0
			 ? open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)
			 : -1;

	if (fd >= 0)
		close(fd);
}
