/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ALIGNMENT ((size_t)64)
#define NPY_HEADER_MAX ((size_t)4096)
#define NPY_HEADER 374 /* of what is written: the data begin at a multiple of 64 */

struct dtype {
	const char *name, *npy;
};

static const struct dtype dtypes[SCONCE_DTYPES] = {
	[SCONCE_DTYPE_ANY] = { "ANY", NULL },  [SCONCE_BOOL] = { "BOOL", "|b1" },
	[SCONCE_UINT8] = { "UINT8", "|u1" },   [SCONCE_UINT16] = { "UINT16", "<u2" },
	[SCONCE_UINT32] = { "UINT32", "<u4" }, [SCONCE_UINT64] = { "UINT64", "<u8" },
	[SCONCE_INT8] = { "INT8", "|i1" },     [SCONCE_INT16] = { "INT16", "<i2" },
	[SCONCE_INT32] = { "INT32", "<i4" },   [SCONCE_INT64] = { "INT64", "<i8" },
	[SCONCE_FP16] = { "FP16", "<f2" },     [SCONCE_FP32] = { "FP32", "<f4" },
	[SCONCE_FP64] = { "FP64", "<f8" },     [SCONCE_BF16] = { "BF16", NULL },
	[SCONCE_BYTES] = { "BYTES", NULL },
};

const char *dtype_name(uint32_t dtype)
{
	return dtype < SCONCE_DTYPES ? dtypes[dtype].name : "?";
}

/* ---- memory ---- */

static size_t page_bytes(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

/* Whole pages for `n` bytes, at least one. */
static size_t pages_for(size_t n)
{
	size_t page = page_bytes();

	return (n / page + 1) * page;
}

static size_t rounded(size_t n)
{
	return (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static void *guarded_base(void *p, size_t n)
{
	return (char *)p + rounded(n) - pages_for(n);
}

void *guarded_alloc(size_t n)
{
	size_t room = pages_for(n), page = page_bytes();
	char *base = mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);

	if (base == MAP_FAILED || mprotect(base + room, page, PROT_NONE)) {
		perror("engine_run: mmap");
		exit(2);
	}
	return base + room - rounded(n);
}

void guarded_seal(void *p, size_t n)
{
	mprotect(guarded_base(p, n), pages_for(n), PROT_READ);
}

void guarded_free(void *p, size_t n)
{
	if (p)
		munmap(guarded_base(p, n), pages_for(n) + page_bytes());
}

/* ---- reading ---- */

static int complain(const char *file, const char *what)
{
	fprintf(stderr, "engine_run: %s: %s\n", file, what);
	return -1;
}

/* "1, 2, 3," or "1x2x3". Negative: that is no shape. */
static int shape_read(const char *s, struct sconce_tensor *t)
{
	while (*s) {
		char *end;
		long long dim = strtoll(s, &end, 10);

		if (end == s || t->ndim == SCONCE_NDIM_MAX)
			return -1;
		t->shape[t->ndim++] = dim;
		s = end + strspn(end, "x, ");
	}
	return 0;
}

/* The dictionary of an .npy file. */
static int npy_header(char *text, struct sconce_tensor *t)
{
	char *descr = strstr(text, "'descr': '"), *shape = strstr(text, "'shape': (");
	char *end;

	if (!descr || !shape || strstr(text, "'fortran_order': True"))
		return -1;
	descr += strlen("'descr': '");
	for (t->dtype = SCONCE_DTYPES - 1; t->dtype; t->dtype--)
		if (dtypes[t->dtype].npy && !strncmp(descr, dtypes[t->dtype].npy, 3))
			break;
	shape += strlen("'shape': (");
	end = strchr(shape, ')');
	if (!t->dtype || !end)
		return -1;
	*end = '\0';
	return shape_read(shape, t);
}

static int npy_begin(FILE *f, struct sconce_tensor *t)
{
	unsigned char magic[10];
	char text[NPY_HEADER_MAX + 1];
	size_t n;

	if (fread(magic, 1, sizeof(magic), f) != sizeof(magic) || memcmp(magic, "\x93NUMPY\1", 7))
		return -1;
	n = magic[8] | (size_t)magic[9] << 8;
	if (n > NPY_HEADER_MAX || fread(text, 1, n, f) != n)
		return -1;
	text[n] = '\0';
	return npy_header(text, t);
}

/* "BYTES:2x3:file": what is before the file's name. */
static int raw_begin(const char *from, const char *file, struct sconce_tensor *t)
{
	char shape[128];
	const char *colon = strchr(from, ':');
	size_t n = (size_t)(file - colon) - 2;

	for (t->dtype = SCONCE_DTYPES - 1; t->dtype; t->dtype--)
		if (!strncmp(from, dtypes[t->dtype].name, (size_t)(colon - from)) &&
		    !dtypes[t->dtype].name[colon - from])
			break;
	if (n >= sizeof(shape))
		return -1;
	memcpy(shape, colon + 1, n);
	shape[n] = '\0';
	return shape_read(shape, t);
}

static int read_rest(FILE *f, struct sconce_tensor *t)
{
	long begin = ftell(f), end;

	if (fseek(f, 0, SEEK_END) || (end = ftell(f)) < begin || fseek(f, begin, SEEK_SET))
		return -1;
	t->bytes = (uint64_t)(end - begin);
	t->data = guarded_alloc(t->bytes);
	if (fread(t->data, 1, t->bytes, f) != t->bytes)
		return -1;
	guarded_seal(t->data, t->bytes);
	return 0;
}

int tensor_read(const char *from, struct sconce_tensor *ret)
{
	const char *file = strrchr(from, ':');
	struct sconce_tensor t = { 0 };
	FILE *f;
	int r;

	file = file ? file + 1 : from;
	f = fopen(file, "rb");
	if (!f)
		return complain(file, strerror(errno));
	r = file == from ? npy_begin(f, &t) : raw_begin(from, file, &t);
	if (!r)
		r = read_rest(f, &t);
	fclose(f);
	if (r)
		return complain(from, "is neither FILE.npy nor DTYPE:SHAPE:FILE");
	*ret = t;
	return 0;
}

/* ---- writing ---- */

static void npy_end(FILE *f, const struct sconce_tensor *t)
{
	char text[512];
	int n = snprintf(text, sizeof(text), "{'descr': '%s', 'fortran_order': False, 'shape': (",
			 dtypes[t->dtype].npy);

	for (uint32_t i = 0; i < t->ndim; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "%lld, ", (long long)t->shape[i]);
	n += snprintf(text + n, sizeof(text) - (size_t)n, "), }");
	fprintf(f, "\x93NUMPY\1%c%c%c", 0, NPY_HEADER & 255, NPY_HEADER >> 8);
	fprintf(f, "%-*s\n", NPY_HEADER - 1, text);
}

int tensor_write(const struct sconce_tensor *t, const char *folder, const char *name, char *ret,
		 size_t n)
{
	int npy = t->dtype < SCONCE_DTYPES && dtypes[t->dtype].npy;
	char path[4096];
	FILE *f;

	snprintf(ret, n, "%s.%s", name, npy ? "npy" : "raw");
	snprintf(path, sizeof(path), "%s/%s", folder, ret);
	f = fopen(path, "wb");
	if (!f)
		return complain(path, strerror(errno));
	if (npy)
		npy_end(f, t);
	if (t->bytes && fwrite(t->data, 1, t->bytes, f) != t->bytes) {
		fclose(f);
		return complain(path, "cannot be written");
	}
	return fclose(f) ? complain(path, "cannot be written") : 0;
}
