/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What engines that are kept here share: errors, settings, files of Python packages. It is linked
 * into each of them. An engine elsewhere needs none of it.
 */

#include <pthread.h>
#include <sconce/engine.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>
#include <yyjson.h>

#define KIT_PATH_MAX 4096

/* ---- error.c ---- */

/* Puts a sentence into *e, on one line, and returns `r`. */
int kit_fail(struct sconce_error *e, int r, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Returns SCONCE_NO_MEMORY. */
int kit_no_memory(struct sconce_error *e);
/* One line for the host's log, of a level of struct sconce_host. Any thread. */
void kit_log(const struct sconce_host *host, int level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* ---- settings.c ---- */

/* The section `engine`, as JSON. */
struct settings {
	yyjson_doc *doc;
	yyjson_val *root; /* an object; NULL: there are no settings */
};

/* `json` may be NULL. 0, or negative: it is no object. */
int settings_read(struct settings *s, const char *json, struct sconce_error *e);
void settings_finish(struct settings *s);
/* Each leaves *ret as it is where the key is not there; negative: its value is of another kind.
 * Texts live as long as the settings. */
int settings_text(const struct settings *s, const char *key, const char **ret,
		  struct sconce_error *e);
int settings_flag(const struct settings *s, const char *key, bool *ret, struct sconce_error *e);
/* Warns of keys that are neither in `known`, a list by spaces, nor the host's own. */
void settings_warn(const struct settings *s, const char *known, const struct sconce_host *host);
/* A text, number or flag as text, in `room` bytes. Negative: it is none of these, or too long. */
int settings_value(yyjson_val *v, char *ret, size_t room);

/* ---- package.c ---- */

/*
 * Calls take() with each file that matches `pattern`, as in "onnxruntime/capi/lib*.so.*", in the
 * folders where the host's Python finds packages, until it returns 0: then this does, too; else
 * negative. Python is started only where none of these folders is beside it, its answer is kept in
 * the host's cache, and it is given a few seconds.
 */
int package_find(const struct sconce_host *host, const char *pattern,
		 int (*take)(void *arg, const char *path), void *arg);

/* ---- library.c ---- */

/* The library of a runtime, and where it may be. */
struct kit_library {
	const char *runtime;      /* "ONNX Runtime" */
	const char *package;      /* what pip installs */
	const char *pattern;      /* its file among Python's packages, as package_find() has it */
	const char *const *names; /* as the loader finds it; NULL ends them */
	/* Opens the library at `path`, a file or one of `names`, for the engine. */
	int (*open)(void *engine, const char *path, struct sconce_error *e);
};

/* Opens what `engine.library` of the settings names, or the first that is found and opens.
 * Negative: *e says what stood in the way, or how to install it. */
int kit_library_find(const struct kit_library *l, const struct sconce_host *host, void *engine,
		     struct sconce_error *e);
/* dlopen(), and the path of what it has opened. NULL: *e says why. */
void *kit_library_open(const char *runtime, const char *path, char ret_path[KIT_PATH_MAX],
		       struct sconce_error *e);

/* ---- batches.c ---- */

enum { BATCHES_NO, BATCHES_YES, BATCHES_MAYBE };

/* May requests be stacked, by the key `batches` of the settings and the first dimensions?
 * BATCHES_MAYBE: nothing speaks against it, and nobody has said so. Negative: the settings are
 * wrong. */
int kit_batches(const struct settings *settings, const struct sconce_signature *s,
		struct sconce_error *e);

/* ---- choice.c ---- */

/* Which way of running is the faster one now: `wide`, with threads beside it, or not. */
struct kit_choice {
	uint64_t wide_ns, narrow_ns; /* about; 0: not known */
	unsigned crowded;            /* such a part of 256 of wide runs waited for a processor */
	unsigned tries, since;       /* of the wide one at first; runs since both were compared */
};

/* Is the next run to be a wide one? */
bool kit_choice_wide(struct kit_choice *c);
/* So long a run took, with nothing of the same model beside it, and waited for a processor. */
void kit_choice_took(struct kit_choice *c, bool wide, uint64_t ns, uint64_t waited_ns);

/* ---- alone.c ---- */

/* Whether runs have a model to themselves. Calls are made under the model's lock, but for init. */
struct kit_alone {
	bool computes; /* the thread that asks for a run, itself, until the run's end */
	unsigned most; /* threads of a run that has; less than 2: it has no more than others */
	unsigned runs; /* that have missed them, until that pays */
	unsigned running;
	uint64_t ended_ns, took_ns; /* of the last run */
	bool undisturbed, wide;     /* the run that began alone is so still; has its threads */
	struct kit_choice choice;
};

/* Reads the setting threads_alone. `has_own`: what computes elsewhere, or has threads of its own,
 * does not gain. 0, or -1. */
int kit_alone_init(struct kit_alone *a, const struct settings *settings, bool has_own,
		   struct sconce_error *e);
/* Threads of a run that has the model to itself, where each of the instances has one; 0: that. */
unsigned kit_alone_threads(const struct kit_alone *a, unsigned instances);
/* When a run began, of both clocks. */
struct kit_run {
	uint64_t began_ns, thread_ns;
};

/* A run begins. *ret goes to its end, on the same thread. True: it has the model to itself. */
bool kit_alone_begin(struct kit_alone *a, struct kit_run *ret);
/* It has, and there are more threads for it: is it to use them? */
bool kit_alone_wide(struct kit_alone *a);
/* `good`: it has done what it was to do. */
void kit_alone_end(struct kit_alone *a, const struct kit_run *run, bool good);
/* Such a run has no more threads than others, and would gain. True, once: so have many. */
bool kit_alone_missed(struct kit_alone *a);
/* Has that been so? */
bool kit_alone_pays(const struct kit_alone *a);
/* What they had is gone: they are counted anew. */
void kit_alone_forget(struct kit_alone *a);

/* ---- tuner.c ---- */

/* A thread that does what takes its time, so that no run waits for it. */
struct kit_tuner {
	pthread_mutex_t *lock;
	/* With the lock, which it may leave meanwhile. False: there is no more to be done. */
	bool (*step)(void *arg);
	void *arg;
	/* The tuner's own. */
	pthread_t thread;
	bool has_thread, tuning, closing;
};

/* Goes on with steps until there are none. With the lock; returns at once. */
void kit_tuner_begin(struct kit_tuner *t);
/* Waits for the step that is under way; nothing can be begun any more. Without the lock. */
void kit_tuner_end(struct kit_tuner *t);

/* ---- file.c ---- */

/* Which file it was. */
struct kit_file {
	uint64_t device, number, size;
	struct timespec changed;
};

int kit_file_read(struct kit_file *f, const char *path, struct sconce_error *e);
/* Another file in its place is another model, which nobody has asked for. */
bool kit_file_is_the_same(const struct kit_file *f, const char *path);

/* ---- hash.c ---- */

#define KIT_HASH_BEGIN 0xcbf29ce484222325u

/* FNV-1a, of 64 bits: it tells versions apart and is no seal. */
void kit_hash(uint64_t *hash, const void *p, size_t n);

/* ---- process.c ---- */

/* A clock that only goes on. */
uint64_t kit_now_ns(void);
int64_t kit_now_ms(void);
/* The processor time of this thread. */
uint64_t kit_thread_ns(void);
/* Memory of this process that is in no file. */
uint64_t kit_own_bytes(void);
