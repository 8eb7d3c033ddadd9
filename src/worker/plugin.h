/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Engines as files: where they are found, and the loading of one. They lie in the folders of
 * SCONCE_ENGINE_PATH (separated by colons), beside an installed server and in a build tree. One
 * file is one engine.
 */

#include <sconce/engine.h>

#include "base/slice.h"

struct plugin {
	void *library;
	char *file;
	/* A copy of its table, with functions that do nothing for those that it may leave out. */
	const struct sconce_engine *table;
};

/* All files that may be one, the first of each name wins; free each and the array. */
char **plugin_files(size_t *ret_n);
/* 0, or negative with one sentence. */
int plugin_open(struct plugin *p, const char *file, struct sconce_error *e);
void plugin_close(struct plugin *p);
/* As the engine's info(), of any. */
void plugin_info(const struct sconce_engine *table, void *engine, struct sconce_engine_info *ret);
/* Does it load files of this name (or folder with such a file)? */
int plugin_takes(const struct plugin *p, struct slice file);
/* The engine of this name, or, with "", the first that takes `file`. *from: 0, or where the last
 * call has ended, for the next one. */
int plugin_find(struct plugin *p, size_t *from, const char *name, const char *file,
		struct sconce_error *e);
