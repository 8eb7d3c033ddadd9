/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * PyTorch as an engine: its C half. It finds torch among the packages of the user's Python, has the
 * C++ half (shim/, shipped as source) built against that, and hands on to it. One thread, except
 * where sconce/engine.h says otherwise.
 */

#include "kit/kit.h"
#include "shim/shim.h"

#define TORCH_TEXT_MAX 256

struct torch {
	const struct sconce_host *host;
	char folder[KIT_PATH_MAX]; /* the package: has lib/ and include/ */
	char version[TORCH_TEXT_MAX];
	char features[TORCH_TEXT_MAX];
	char shim[KIT_PATH_MAX]; /* where it is, or will be */
	const char *devices;
};

/* ---- find.c ---- */

/* The package, its version, and which devices it is for. 0, or -1 with what is missing. */
int torch_find(struct torch *t, struct sconce_error *e);
/* "<folder>/lib/<name>" into the process, for others to link to. 0, or -1. */
int torch_open_library(const struct torch *t, const char *name, struct sconce_error *e);

/* ---- build.c ---- */

/* Where the shim for this torch is or belongs. 0, or -1: there is no folder for it, or no source.
 */
int torch_shim_place(struct torch *t, struct sconce_error *e);
bool torch_shim_is_built(const struct torch *t);
/* Builds it, unless it is there. Other processes may do so at the same time. `outlives`: the
 * compiler goes on when our process group is killed. 0, or -1 with what is
 * missing or what the compiler says. */
int torch_shim_build(struct torch *t, bool outlives, struct sconce_error *e);

/* ---- tree.c ---- */

/* Calls leaf() with the name of every tensor in torch's description of arguments or results, in
 * their order: those of keys, and `root` with numbers where there are none. Nothing where it cannot
 * be read. */
void tree_leaves(const char *json, int arguments, const char *root,
		 void (*leaf)(void *arg, const char *name), void *arg);

/* ---- source.c ---- */

/* The folder with the shim's source, beside this plug-in. 0 or -1. */
int source_folder(char *ret, size_t room);
/* A number that any change of the source changes. 0, or -1: a part of it is missing. */
int source_hash(const char *folder, uint64_t *ret);
