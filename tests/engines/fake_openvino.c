/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A library that looks like OpenVINO's and divides by zero when it compiles, as versions of it do
 * on some processors, but for FAKE_OPENVINO_WORKS in the environment. Everything else succeeds,
 * with nothing.
 */

#include <signal.h>
#include <stddef.h>
#include <stdlib.h>

#define EXPORT __attribute__((visibility("default")))
/* Whatever the arguments are: they are not looked at. */
#define SUCCEEDS(name)                                                                             \
	EXPORT int ov_##name(void);                                                                \
	EXPORT int ov_##name(void)                                                                 \
	{                                                                                          \
		return 0;                                                                          \
	}

SUCCEEDS(get_last_err_msg)
SUCCEEDS(free)
SUCCEEDS(version_free)
SUCCEEDS(core_create)
SUCCEEDS(core_free)
SUCCEEDS(core_get_property)
SUCCEEDS(core_set_property)
SUCCEEDS(core_read_model)
SUCCEEDS(core_read_model_from_memory_buffer)
SUCCEEDS(model_free)
SUCCEEDS(model_inputs_size)
SUCCEEDS(model_outputs_size)
SUCCEEDS(model_const_input_by_index)
SUCCEEDS(model_const_output_by_index)
SUCCEEDS(model_reshape_by_port_indexes)
SUCCEEDS(compiled_model_free)
SUCCEEDS(compiled_model_create_infer_request)
SUCCEEDS(output_const_port_free)
SUCCEEDS(port_get_any_name)
SUCCEEDS(port_get_element_type)
SUCCEEDS(port_get_partial_shape)
SUCCEEDS(partial_shape_free)
SUCCEEDS(shape_free)
SUCCEEDS(tensor_create)
SUCCEEDS(tensor_create_from_host_ptr)
SUCCEEDS(tensor_free)
SUCCEEDS(tensor_get_shape)
SUCCEEDS(tensor_data)
SUCCEEDS(infer_request_free)
SUCCEEDS(infer_request_set_input_tensor_by_index)
SUCCEEDS(infer_request_set_output_tensor_by_index)
SUCCEEDS(infer_request_get_output_tensor_by_index)
SUCCEEDS(infer_request_start_async)
SUCCEEDS(infer_request_wait)
SUCCEEDS(infer_request_cancel)

EXPORT int ov_get_openvino_version(const char **ret);
EXPORT int ov_get_openvino_version(const char **ret)
{
	*ret = "2025.4.1-20426-fake";
	return 0;
}

EXPORT int ov_core_compile_model(void);
EXPORT int ov_core_compile_model(void)
{
	if (!getenv("FAKE_OPENVINO_WORKS"))
		raise(SIGFPE);
	return 0;
}
