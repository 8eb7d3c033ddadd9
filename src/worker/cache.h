/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The folder in which engines keep what is costly to make: what they run later is in it, so it is
 * one that nobody else can put anything into.
 */

/* `given`: the setting cache_dir, or "". Without it $SCONCE_CACHE_DIR, or `sconce` in
 * $XDG_CACHE_HOME or ~/.cache. Made where it is missing. NULL: there is none, and where one was
 * there that is not safe, a line of the log says why. free() it. */
char *cache_open(const char *given);
