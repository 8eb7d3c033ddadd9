/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * ONNX Runtime's C interface as far as it is used here, without its header: no package has that
 * beside the library. Its table of functions only grows at its end (its own promise), so a place in
 * it is as good as a name. Up to the first mark all are there since interface version 11, the
 * oldest that is taken; behind it struct onnx's `api_version` says what there is. NULL instead of a
 * status is success.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ORT_VERSION_LEAST 11 /* of ONNX Runtime 1.11 */
#define ORT_VERSION_KNOWN 24

typedef struct ort_status ort_status;
typedef struct ort_env ort_env;
typedef struct ort_session ort_session;
typedef struct ort_session_options ort_session_options;
typedef struct ort_run_options ort_run_options;
typedef struct ort_cuda_options ort_cuda_options;
typedef struct ort_value ort_value;
typedef struct ort_type ort_type;
typedef struct ort_tensor_info ort_tensor_info;
typedef struct ort_allocator ort_allocator;
typedef struct ort_memory ort_memory;
typedef struct ort_pairs ort_pairs;
typedef void ort_log_function(void *arg, int level, const char *category, const char *id,
			      const char *place, const char *message);
/* Begins a thread that does work(of); what it returns goes to the join. NULL: there is none. */
typedef const void *ort_thread_begin(void *arg, void (*work)(void *of), void *of);
typedef void ort_thread_join(const void *thread);

struct ort_api {
	ort_status *(*create_status)(int code, const char *message);
	int (*error_code)(const ort_status *status);
	const char *(*error_message)(const ort_status *status);
	const void *unused3[1];
	ort_status *(*create_env_logged)(ort_log_function *log, void *arg, int level,
					 const char *id, ort_env **ret);
	const void *unused5[2];
	ort_status *(*create_session)(const ort_env *env, const char *path,
				      const ort_session_options *o, ort_session **ret);
	const void *unused8[1];
	ort_status *(*run)(ort_session *s, const ort_run_options *o, const char *const *names,
			   const ort_value *const *inputs, size_t n,
			   const char *const *output_names, size_t n_outputs, ort_value **outputs);
	ort_status *(*create_session_options)(ort_session_options **ret);
	const void *unused11[6];
	ort_status *(*disable_memory_pattern)(ort_session_options *o);
	const void *unused18[1];
	ort_status *(*disable_arena)(ort_session_options *o);
	const void *unused20[3];
	ort_status *(*set_graph_optimization)(ort_session_options *o, int level);
	ort_status *(*set_intra_threads)(ort_session_options *o, int threads);
	ort_status *(*set_inter_threads)(ort_session_options *o, int threads);
	const void *unused26[4];
	ort_status *(*input_count)(const ort_session *s, size_t *ret);
	ort_status *(*output_count)(const ort_session *s, size_t *ret);
	const void *unused32[1];
	ort_status *(*input_type)(const ort_session *s, size_t i, ort_type **ret);
	ort_status *(*output_type)(const ort_session *s, size_t i, ort_type **ret);
	const void *unused35[1];
	ort_status *(*input_name)(const ort_session *s, size_t i, ort_allocator *a, char **ret);
	ort_status *(*output_name)(const ort_session *s, size_t i, ort_allocator *a, char **ret);
	const void *unused38[1];
	ort_status *(*create_run_options)(ort_run_options **ret);
	const void *unused40[1];
	ort_status *(*set_run_log_level)(ort_run_options *o, int level);
	const void *unused42[4];
	ort_status *(*terminate)(ort_run_options *o);
	ort_status *(*unterminate)(ort_run_options *o);
	ort_status *(*create_tensor)(ort_allocator *a, const int64_t *shape, size_t ndim, int type,
				     ort_value **ret);
	ort_status *(*create_tensor_over)(const ort_memory *m, void *p, size_t n,
					  const int64_t *shape, size_t ndim, int type,
					  ort_value **ret);
	const void *unused50[1];
	ort_status *(*tensor_data)(ort_value *v, void **ret);
	ort_status *(*fill_strings)(ort_value *v, const char *const *texts, size_t n);
	ort_status *(*strings_length)(const ort_value *v, size_t *ret);
	ort_status *(*strings_content)(const ort_value *v, void *p, size_t room, size_t *offsets,
				       size_t n);
	ort_status *(*tensor_info_of_type)(const ort_type *t, const ort_tensor_info **ret);
	ort_status *(*kind_of_type)(const ort_type *t, int *ret);
	const void *unused57[3];
	ort_status *(*element_type)(const ort_tensor_info *i, int *ret);
	ort_status *(*dimensions_count)(const ort_tensor_info *i, size_t *ret);
	ort_status *(*dimensions)(const ort_tensor_info *i, int64_t *ret, size_t n);
	ort_status *(*symbols)(const ort_tensor_info *i, const char **ret, size_t n);
	const void *unused64[1];
	ort_status *(*tensor_info)(const ort_value *v, ort_tensor_info **ret);
	const void *unused66[2];
	ort_status *(*create_memory)(const char *name, int allocator, int id, int kind,
				     ort_memory **ret);
	ort_status *(*cpu_memory)(int allocator, int kind, ort_memory **ret);
	const void *unused70[6];
	ort_status *(*allocator_free)(ort_allocator *a, void *p);
	const void *unused77[1];
	ort_status *(*default_allocator)(ort_allocator **ret);
	const void *unused79[13];
	void (*release_env)(ort_env *e);
	void (*release_status)(ort_status *s);
	void (*release_memory)(ort_memory *m);
	void (*release_session)(ort_session *s);
	void (*release_value)(ort_value *v);
	void (*release_run_options)(ort_run_options *o);
	void (*release_type)(ort_type *t);
	void (*release_tensor_info)(ort_tensor_info *i);
	void (*release_session_options)(ort_session_options *o);
	const void *unused101[24];
	ort_status *(*providers)(char ***ret, int *ret_n);
	ort_status *(*release_providers)(char **names, int n);
	const void *unused127[3];
	ort_status *(*add_config)(ort_session_options *o, const char *key, const char *value);
	ort_status *(*create_allocator)(const ort_session *s, const ort_memory *m,
					ort_allocator **ret);
	void (*release_allocator)(ort_allocator *a);
	const void *unused133[63];
	ort_status *(*set_thread_begin)(ort_session_options *o, ort_thread_begin *begin);
	ort_status *(*set_thread_arg)(ort_session_options *o, void *arg);
	ort_status *(*set_thread_join)(ort_session_options *o, ort_thread_join *join);
	const void *unused199[5];
	ort_status *(*append_cuda)(ort_session_options *o, const ort_cuda_options *cuda);
	ort_status *(*create_cuda_options)(ort_cuda_options **ret);
	ort_status *(*update_cuda_options)(ort_cuda_options *o, const char *const *keys,
					   const char *const *values, size_t n);
	const void *unused207[1];
	void (*release_cuda_options)(ort_cuda_options *o);
	const void *unused209[7];
	/* ---- since interface version 12 ---- */
	ort_status *(*append_provider)(ort_session_options *o, const char *name,
				       const char *const *keys, const char *const *values,
				       size_t n);
	const void *unused217[35];
	/* ---- since interface version 15 ---- */
	ort_status *(*resize_string)(ort_value *v, size_t i, size_t n, char **ret);
	const void *unused253[44];
	/* ---- since interface version 22 ---- */
	const char *(*pairs_get)(const ort_pairs *p, const char *key);
	const void *unused298[2];
	void (*release_pairs)(ort_pairs *p);
	const void *unused301[18];
	/* ---- since interface version 23 ---- */
	ort_status *(*allocator_stats)(const ort_allocator *a, ort_pairs **ret);
	const void *unused320[70];
	/* ---- since interface version 24 ---- */
	bool (*has_shape)(const ort_tensor_info *i);
};

#define ORT_AT(place, name)                                                                        \
	_Static_assert(offsetof(struct ort_api, name) == (place) * sizeof(void *), #name)
ORT_AT(0, create_status);
ORT_AT(1, error_code);
ORT_AT(2, error_message);
ORT_AT(4, create_env_logged);
ORT_AT(7, create_session);
ORT_AT(9, run);
ORT_AT(10, create_session_options);
ORT_AT(17, disable_memory_pattern);
ORT_AT(19, disable_arena);
ORT_AT(23, set_graph_optimization);
ORT_AT(24, set_intra_threads);
ORT_AT(25, set_inter_threads);
ORT_AT(30, input_count);
ORT_AT(31, output_count);
ORT_AT(33, input_type);
ORT_AT(34, output_type);
ORT_AT(36, input_name);
ORT_AT(37, output_name);
ORT_AT(39, create_run_options);
ORT_AT(41, set_run_log_level);
ORT_AT(46, terminate);
ORT_AT(47, unterminate);
ORT_AT(48, create_tensor);
ORT_AT(49, create_tensor_over);
ORT_AT(51, tensor_data);
ORT_AT(52, fill_strings);
ORT_AT(53, strings_length);
ORT_AT(54, strings_content);
ORT_AT(55, tensor_info_of_type);
ORT_AT(56, kind_of_type);
ORT_AT(60, element_type);
ORT_AT(61, dimensions_count);
ORT_AT(62, dimensions);
ORT_AT(63, symbols);
ORT_AT(65, tensor_info);
ORT_AT(69, cpu_memory);
ORT_AT(76, allocator_free);
ORT_AT(78, default_allocator);
ORT_AT(92, release_env);
ORT_AT(93, release_status);
ORT_AT(94, release_memory);
ORT_AT(95, release_session);
ORT_AT(96, release_value);
ORT_AT(97, release_run_options);
ORT_AT(98, release_type);
ORT_AT(99, release_tensor_info);
ORT_AT(100, release_session_options);
ORT_AT(125, providers);
ORT_AT(126, release_providers);
ORT_AT(130, add_config);
ORT_AT(131, create_allocator);
ORT_AT(132, release_allocator);
ORT_AT(196, set_thread_begin);
ORT_AT(197, set_thread_arg);
ORT_AT(198, set_thread_join);
ORT_AT(204, append_cuda);
ORT_AT(205, create_cuda_options);
ORT_AT(206, update_cuda_options);
ORT_AT(208, release_cuda_options);
ORT_AT(216, append_provider);
ORT_AT(252, resize_string);
ORT_AT(297, pairs_get);
ORT_AT(300, release_pairs);
ORT_AT(319, allocator_stats);
ORT_AT(390, has_shape);

/* What the library exports: OrtGetApiBase() returns it. */
struct ort_api_base {
	const struct ort_api *(*get_api)(uint32_t version);
	const char *(*version)(void);
};

/* Types of elements. */
enum {
	ORT_FLOAT = 1,
	ORT_UINT8,
	ORT_INT8,
	ORT_UINT16,
	ORT_INT16,
	ORT_INT32,
	ORT_INT64,
	ORT_STRING,
	ORT_BOOL,
	ORT_FLOAT16,
	ORT_DOUBLE,
	ORT_UINT32,
	ORT_UINT64,
	ORT_BFLOAT16 = 16,
	ORT_TYPES
};

/* Kinds of values. */
enum { ORT_KIND_TENSOR = 1 };

#define ORT_INVALID_ARGUMENT 2 /* a code of errors */
#define ORT_WARNING 2          /* a level of logs */
#define ORT_FATAL 4
#define ORT_ARENA 1
#define ORT_DEVICE 0 /* the allocator of a device itself */
#define ORT_DEFAULT_MEMORY 0
