/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * OpenVINO's C interface as far as it is used here, without its headers: functions are found by
 * their names in a library that is there at run time only. The numbers of element types have
 * changed between versions, so they are learnt from the library (types.c). A status of 0 is
 * success. Since 2022.3 nothing of this has changed.
 */

#include <stddef.h>
#include <stdint.h>

typedef struct ov_core ov_core;
typedef struct ov_model ov_model;
typedef struct ov_compiled ov_compiled;
typedef struct ov_request ov_request;
typedef struct ov_port ov_port;
typedef struct ov_tensor ov_tensor;

struct ov_range {
	int64_t least, most;
};

struct ov_shape {
	int64_t rank;
	int64_t *dims;
};

struct ov_partial_shape {
	struct ov_range rank;
	struct ov_range *dims;
};

struct ov_version {
	const char *build, *description;
};

/* X(name, result, arguments) */
#define OV_FUNCTIONS(X)                                                                            \
	X(get_last_err_msg, const char *, (void))                                                  \
	X(free, void, (const char *text))                                                          \
	X(get_openvino_version, int, (struct ov_version * ret))                                    \
	X(version_free, void, (struct ov_version * v))                                             \
	X(core_create, int, (ov_core * *ret))                                                      \
	X(core_free, void, (ov_core * c))                                                          \
	X(core_get_property, int,                                                                  \
	  (const ov_core *c, const char *device, const char *key, char **ret))                     \
	X(core_set_property, int, (const ov_core *c, const char *device, ...))                     \
	X(core_read_model, int,                                                                    \
	  (const ov_core *c, const char *path, const char *weights, ov_model **ret))               \
	X(core_read_model_from_memory_buffer, int,                                                 \
	  (const ov_core *c, const char *text, size_t n, const ov_tensor *weights,                 \
	   ov_model **ret))                                                                        \
	X(core_compile_model, int,                                                                 \
	  (const ov_core *c, const ov_model *m, const char *device, size_t n, ov_compiled **ret,   \
	   ...))                                                                                   \
	X(model_free, void, (ov_model * m))                                                        \
	X(model_inputs_size, int, (const ov_model *m, size_t *ret))                                \
	X(model_outputs_size, int, (const ov_model *m, size_t *ret))                               \
	X(model_const_input_by_index, int, (const ov_model *m, size_t i, ov_port **ret))           \
	X(model_const_output_by_index, int, (const ov_model *m, size_t i, ov_port **ret))          \
	X(model_reshape_by_port_indexes, int,                                                      \
	  (const ov_model *m, const size_t *inputs, const struct ov_partial_shape *shapes,         \
	   size_t n))                                                                              \
	X(compiled_model_free, void, (ov_compiled * c))                                            \
	X(compiled_model_create_infer_request, int, (const ov_compiled *c, ov_request **ret))      \
	X(output_const_port_free, void, (ov_port * p))                                             \
	X(port_get_any_name, int, (const ov_port *p, char **ret))                                  \
	X(port_get_element_type, int, (const ov_port *p, unsigned *ret))                           \
	X(port_get_partial_shape, int, (const ov_port *p, struct ov_partial_shape *ret))           \
	X(partial_shape_free, void, (struct ov_partial_shape * s))                                 \
	X(shape_free, int, (struct ov_shape * s))                                                  \
	X(tensor_create, int, (unsigned type, struct ov_shape s, ov_tensor **ret))                 \
	X(tensor_create_from_host_ptr, int,                                                        \
	  (unsigned type, struct ov_shape s, void *data, ov_tensor **ret))                         \
	X(tensor_free, void, (ov_tensor * t))                                                      \
	X(tensor_get_shape, int, (const ov_tensor *t, struct ov_shape *ret))                       \
	X(tensor_data, int, (const ov_tensor *t, void **ret))                                      \
	X(infer_request_free, void, (ov_request * r))                                              \
	X(infer_request_set_input_tensor_by_index, int,                                            \
	  (ov_request * r, size_t i, const ov_tensor *t))                                          \
	X(infer_request_set_output_tensor_by_index, int,                                           \
	  (ov_request * r, size_t i, const ov_tensor *t))                                          \
	X(infer_request_get_output_tensor_by_index, int,                                           \
	  (const ov_request *r, size_t i, ov_tensor **ret))                                        \
	X(infer_request_start_async, int, (ov_request * r))                                        \
	X(infer_request_wait, int, (ov_request * r))                                               \
	X(infer_request_cancel, int, (ov_request * r))

#define OV_MEMBER(name, result, arguments) result(*name) arguments;
struct ov_api {
	OV_FUNCTIONS(OV_MEMBER)
};
