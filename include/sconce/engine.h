/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What an engine is to sconce: a shared library that runs models of some format. It is loaded by
 * the native worker (`sconce-worker`), a process that serves one version of one model, so nothing
 * it does can hurt the server. This header needs no other of sconce's; engines/echo is an example.
 *
 * A plug-in exports one symbol, `sconce_engine`, a table:
 *
 *     const struct sconce_engine sconce_engine = {
 *             .size = sizeof(struct sconce_engine), .abi = SCONCE_ENGINE_ABI, .name = "echo", ...
 *     };
 *
 * Life:     open ─► load ─► instance_create (N times) ─► warm_up ─► run, run … ─► instance_destroy
 *                                                                      ─► unload ─► close
 *
 * Threads:  one thread calls open, load, instance_create, warm_up, specialize, instance_destroy,
 *           unload and close, never two of them at once. run() is called by many threads at the
 *           same time, but for one instance by one thread at a time: instances share the model's
 *           weights, and have scratch memory of their own. cancel() and set_threads() may come
 *           from any thread, also while run() is at work.
 * Errors:   0 is success. What fails returns a negative value and puts one sentence for a person
 *           into *error; SCONCE_BAD_INPUT says that it is the client's fault (400),
 *           SCONCE_NO_MEMORY that host or device have no more memory (507), all else is the
 *           model's (500). A plug-in never exits, aborts or writes to standard output.
 * Versions: SCONCE_ENGINE_ABI changes when a plug-in must be built again; a worker refuses any
 *           other. Fields are only ever added at the end of structs whose first one is `size`:
 *           whoever reads such a struct looks at nothing beyond it (SCONCE_HAS).
 */

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SCONCE_ENGINE_ABI 1u
#define SCONCE_ENGINE_SYMBOL "sconce_engine"
#define SCONCE_NDIM_MAX 16
#define SCONCE_NDIM_ANY 255 /* of a specification: the format does not tell the rank */
#define SCONCE_DIM_ANY (-1) /* of a specification: any size */
#define SCONCE_ERROR_MAX 1024
#define SCONCE_BAD_INPUT (-2)
#define SCONCE_NO_MEMORY (-12)
/* Of load(): what prepare() makes is not there, and `build: false` forbids to make it now. */
#define SCONCE_NOT_PREPARED (-3)

/* Is `field` within what the other side knows of *p? */
#define SCONCE_HAS(p, field) ((p)->size >= offsetof(__typeof__(*(p)), field) + sizeof((p)->field))

#if defined(__GNUC__)
#define SCONCE_EXPORT __attribute__((visibility("default")))
#else
#define SCONCE_EXPORT
#endif

struct sconce_error {
	char text[SCONCE_ERROR_MAX]; /* UTF-8, one sentence, ends with a zero byte */
};

/* Element types; names and meaning are those of the Open Inference Protocol. */
enum sconce_dtype {
	SCONCE_DTYPE_ANY = 0, /* of a specification: the format does not tell */
	SCONCE_BOOL = 1,      /* 1 byte, 0 or 1 */
	SCONCE_UINT8 = 2,
	SCONCE_UINT16 = 3,
	SCONCE_UINT32 = 4,
	SCONCE_UINT64 = 5,
	SCONCE_INT8 = 6,
	SCONCE_INT16 = 7,
	SCONCE_INT32 = 8,
	SCONCE_INT64 = 9,
	SCONCE_FP16 = 10, /* IEEE 754 binary16 */
	SCONCE_FP32 = 11,
	SCONCE_FP64 = 12,
	SCONCE_BF16 = 13,
	SCONCE_BYTES = 14, /* each element: u32 little-endian length, then that many bytes */
	SCONCE_DTYPES
};

/* Bytes of an element; 0 for BYTES, whose elements differ, and for what is no type. */
static inline size_t sconce_dtype_size(uint32_t dtype)
{
	static const uint8_t sizes[SCONCE_DTYPES] = { 0, 1, 1, 2, 4, 8, 1, 2, 4, 8, 2, 4, 8, 2, 0 };

	return dtype < SCONCE_DTYPES ? sizes[dtype] : 0;
}

/*
 * A tensor in the host's memory: dense, row-major, little-endian.
 *
 * Inputs are borrowed: they are valid, and may be read but not written, until run() returns (or
 * run_async() calls back).
 *
 * Outputs come to run() in one of two ways. With `data` set, the host offers `bytes` bytes of its
 * memory, 64-byte aligned, where the result may go: the engine writes there if it fits, and sets
 * dtype, shape and bytes. Or the engine sets `data` to memory of its own with `release`: the host
 * adopts it, only reads it, and calls release(tensor) exactly once, from any thread, before the
 * model is unloaded. `owner` is for the engine. On failure nothing is adopted.
 */
struct sconce_tensor {
	void *data;
	uint64_t bytes;
	uint32_t dtype; /* enum sconce_dtype */
	uint32_t ndim;  /* 0: a scalar */
	int64_t shape[SCONCE_NDIM_MAX];
	void (*release)(struct sconce_tensor *tensor);
	void *owner;
};

/* Where an input's `data` lies, where that is not the host's memory. */
enum sconce_memory {
	SCONCE_MEMORY_HOST = 0,
	SCONCE_MEMORY_CUDA = 1, /* the global memory of a GPU: `device` is CUDA's number of it */
};

struct sconce_place {
	uint32_t memory; /* enum sconce_memory */
	int32_t device;
};

/* What the model says of an input or output. */
struct sconce_tensor_spec {
	const char *name;               /* unique among inputs, among outputs */
	uint32_t dtype;                 /* SCONCE_DTYPE_ANY: not known before it runs */
	uint32_t ndim;                  /* SCONCE_NDIM_ANY */
	int64_t shape[SCONCE_NDIM_MAX]; /* SCONCE_DIM_ANY: any */
};

struct sconce_signature {
	size_t size; /* at least as far as n_outputs */
	const struct sconce_tensor_spec *inputs, *outputs;
	size_t n_inputs, n_outputs;
	/* Dimension 0 of every input and output counts examples that do not touch each other:
	 * requests may be stacked. */
	int batches;
};

/* What the host is to an engine. It outlives the engine. */
struct sconce_host {
	size_t size;
	uint32_t abi;
	/* Any thread; one line, no line end. level: 0 debug, 1 info, 2 warning, 3 error. */
	void (*log)(const struct sconce_host *host, int level, const char *line);
	const char *python; /* an interpreter whose packages may hold the runtime; NULL: none */
	const char *cache;  /* a folder for what is costly to make; NULL: there is none */
	const char *config; /* JSON object: the engine's section of the server's settings; NULL */
};

/* What was found. Texts live until close(). */
struct sconce_engine_info {
	size_t size;
	const char *runtime;  /* "ONNX Runtime" */
	const char *version;  /* "1.31.1" */
	const char *path;     /* of the library; NULL: none */
	const char *devices;  /* "cpu cuda:0" */
	const char *features; /* "avx512 bf16", for people */
};

struct sconce_model_options {
	size_t size;
	const char *path;   /* a file or folder, absolute */
	const char *device; /* "cpu", "cuda:0" */
	uint32_t instances; /* how many run() there will be at the same time, at least 1 */
	uint32_t threads;   /* for each of them to use, at least 1 */
	const char *config; /* JSON object: what model-config.yaml says below `engine`; "{}" */
	uint32_t batch;     /* requests that may be stacked in a run; 0: not known */
};

struct sconce_engine {
	size_t size;  /* sizeof(struct sconce_engine), as the plug-in was built */
	uint32_t abi; /* SCONCE_ENGINE_ABI, as the plug-in was built */
	uint32_t reserved;
	const char *name;     /* [a-z0-9_]+, as in model-config.yaml */
	const char *version;  /* of the plug-in */
	const char *suffixes; /* of the files it loads, by spaces: ".onnx"; "/saved_model.pb" is a
			       * folder that has such a file */

	/* Finds the runtime. When it is missing: negative, and one line that says what is missing
	 * and the command that installs it. NULL: there is nothing to be found. */
	int (*open)(const struct sconce_host *host, void **ret_engine, struct sconce_error *error);
	void (*close)(void *engine); /* NULL: nothing to be freed */
	/* NULL: its runtime is itself, on processors. */
	void (*info)(void *engine, struct sconce_engine_info *ret);

	int (*load)(void *engine, const struct sconce_model_options *options, void **ret_model,
		    struct sconce_error *error);
	void (*unload)(void *model); /* NULL: nothing to be freed */
	/* Lives until unload(). */
	const struct sconce_signature *(*signature)(void *model);

	/* NULL: an instance is the model itself, which many threads run at the same time. */
	int (*instance_create)(void *model, uint32_t index, void **ret_instance,
			       struct sconce_error *error);
	void (*instance_destroy)(void *instance); /* NULL: nothing to be freed */
	/* Inputs in the order of the signature, n of them (fewer where the last ones are optional);
	 * outputs likewise, all of them. Inputs fit the signature's dtypes, ranks and fixed
	 * dimensions: the host has checked. */
	int (*run)(void *instance, const struct sconce_tensor *inputs, size_t n_inputs,
		   struct sconce_tensor *outputs, size_t n_outputs, struct sconce_error *error);

	/* ---- optional, NULL where there is none ---- */

	/* Before the first run(), where merely running it with zeros would not do. */
	int (*warm_up)(void *instance, struct sconce_error *error);
	/* Inputs of these shapes will come often: prepare for them. A hint. Hosts up to now never
	 * give it: they say in `batch` of load() how many requests a run may have at most, and an
	 * engine that gains from knowing sizes prepares for those up to it. */
	int (*specialize)(void *model, const struct sconce_tensor_spec *inputs, size_t n_inputs,
			  struct sconce_error *error);
	/* As run(), but returns at once; `done` is called exactly once, from any thread, unless
	 * run_async() itself failed. Inputs and outputs stay valid until then. Hosts up to now
	 * never call it, and need run(): each instance has a thread that may wait. */
	int (*run_async)(void *instance, const struct sconce_tensor *inputs, size_t n_inputs,
			 struct sconce_tensor *outputs, size_t n_outputs,
			 void (*done)(void *arg, int result, const char *error), void *arg,
			 struct sconce_error *error);
	/* Nobody waits for the run that is under way: it may end early, with any error. Returns at
	 * once. Comes again until that has ended, so one that comes a moment too early may be lost;
	 * what begins later is not meant. */
	void (*cancel)(void *instance);
	/* Use so many threads in each run from now on. */
	void (*set_threads)(void *model, uint32_t threads);
	/* Bytes that weights and scratch memory take, as far as the runtime tells. */
	uint64_t (*memory)(void *model);
	/* Makes now what load() would make when it is first needed and would keep in the host's
	 * cache. May take minutes, and may be called by several processes at once. */
	int (*prepare)(void *engine, struct sconce_error *error);
	/* Does run_placed() take inputs that lie there? 1: it does. With run_placed(). */
	int (*takes)(void *model, const struct sconce_place *place);
	/* As run(), with inputs each of which lies where its place says: in the host's memory, or
	 * where takes() has said yes. What has written them there is done. Outputs are the host's
	 * memory, as those of run(). */
	int (*run_placed)(void *instance, const struct sconce_tensor *inputs,
			  const struct sconce_place *places, size_t n_inputs,
			  struct sconce_tensor *outputs, size_t n_outputs,
			  struct sconce_error *error);
};

#ifdef __cplusplus
}
#endif
