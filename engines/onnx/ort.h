/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * ONNX Runtime's C interface as far as it is used here, without its header: no package has that
 * beside the library. Its table of functions only grows at its end (its own promise), so a place in
 * it is as good as a name. Places are those of interface version 11, which every later library
 * offers. NULL instead of a status is success.
 */

#include <stddef.h>
#include <stdint.h>

#define ORT_API_VERSION 11

typedef struct ort_status ort_status;
typedef struct ort_env ort_env;
typedef struct ort_session ort_session;
typedef struct ort_session_options ort_session_options;
typedef struct ort_run_options ort_run_options;
typedef struct ort_value ort_value;
typedef struct ort_type ort_type;
typedef struct ort_tensor_info ort_tensor_info;
typedef struct ort_allocator ort_allocator;
typedef struct ort_memory ort_memory;

struct ort_api {
	const void *unused0[2];
	const char *(*get_error_message)(const ort_status *status);
	ort_status *(*create_env)(int level, const char *id, ort_env **ret);
	const void *unused4[3];
	ort_status *(*create_session)(const ort_env *env, const char *path,
				      const ort_session_options *o, ort_session **ret);
	const void *unused8[1];
	ort_status *(*run)(ort_session *s, const ort_run_options *o, const char *const *names,
			   const ort_value *const *inputs, size_t n,
			   const char *const *output_names, size_t n_outputs, ort_value **outputs);
	ort_status *(*create_session_options)(ort_session_options **ret);
	const void *unused11[12];
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
	const void *unused40[6];
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
	const void *unused56[4];
	ort_status *(*element_type)(const ort_tensor_info *i, int *ret);
	ort_status *(*dimensions_count)(const ort_tensor_info *i, size_t *ret);
	ort_status *(*dimensions)(const ort_tensor_info *i, int64_t *ret, size_t n);
	const void *unused63[2];
	ort_status *(*tensor_info)(const ort_value *v, ort_tensor_info **ret);
	const void *unused66[3];
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
	const void *unused101[29];
	ort_status *(*add_config)(ort_session_options *o, const char *key, const char *value);
};

#define ORT_AT(place, name)                                                                        \
	_Static_assert(offsetof(struct ort_api, name) == (place) * sizeof(void *), #name)
ORT_AT(2, get_error_message);
ORT_AT(3, create_env);
ORT_AT(7, create_session);
ORT_AT(9, run);
ORT_AT(10, create_session_options);
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
ORT_AT(46, terminate);
ORT_AT(47, unterminate);
ORT_AT(48, create_tensor);
ORT_AT(49, create_tensor_over);
ORT_AT(51, tensor_data);
ORT_AT(52, fill_strings);
ORT_AT(53, strings_length);
ORT_AT(54, strings_content);
ORT_AT(55, tensor_info_of_type);
ORT_AT(60, element_type);
ORT_AT(61, dimensions_count);
ORT_AT(62, dimensions);
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
ORT_AT(130, add_config);

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

#define ORT_WARNING 2
#define ORT_OPTIMIZE_ALL 99
#define ORT_ARENA 1
#define ORT_DEFAULT_MEMORY 0
