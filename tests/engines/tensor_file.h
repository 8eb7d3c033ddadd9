/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Tensors in files: NumPy's .npy for the types that it has, bare bytes for the others. Memory is
 * mapped so that who writes where it may only read, or goes beyond the end, is ended by a signal.
 */

#include <sconce/engine.h>

/* `n` bytes, 64-byte aligned, zero; the page behind them cannot be touched. Never NULL. */
void *guarded_alloc(size_t n);
/* Nothing may write there from now on. */
void guarded_seal(void *p, size_t n);
void guarded_free(void *p, size_t n);

const char *dtype_name(uint32_t dtype);

/*
 * `from` is FILE.npy, or DTYPE:SHAPE:FILE with the bytes of a tensor, as in BYTES:2x3:file; the
 * shape of a scalar is empty. 0, or negative with a line on standard error. The tensor's memory is
 * guarded and sealed.
 */
int tensor_read(const char *from, struct sconce_tensor *ret);
/* FOLDER/NAME.npy or FOLDER/NAME.raw; the file's name, without its folder, is put into `ret`. */
int tensor_write(const struct sconce_tensor *t, const char *folder, const char *name, char *ret,
		 size_t n);
