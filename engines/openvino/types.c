/* SPDX-License-Identifier: Apache-2.0 */
#include "openvino.h"

/*
 * What the library calls types of elements. Its numbers are no part of its interface: newer
 * versions have dropped and inserted some. Names of types in a model are, so a model that has an
 * input of each type tells.
 */

#include <stdio.h>
#include <string.h>

#define TYPES_ROOM 16384

static const char *const names[SCONCE_DTYPES] = {
	[SCONCE_BOOL] = "boolean", [SCONCE_UINT8] = "u8",     [SCONCE_UINT16] = "u16",
	[SCONCE_UINT32] = "u32",   [SCONCE_UINT64] = "u64",   [SCONCE_INT8] = "i8",
	[SCONCE_INT16] = "i16",    [SCONCE_INT32] = "i32",    [SCONCE_INT64] = "i64",
	[SCONCE_FP16] = "f16",     [SCONCE_FP32] = "f32",     [SCONCE_FP64] = "f64",
	[SCONCE_BF16] = "bf16",    [SCONCE_BYTES] = "string",
};

/* Input i - 1 is of type i. The precision of a port is not looked at, but has to be there. */
static size_t write_model(char *to, size_t room)
{
	size_t n = (size_t)snprintf(to, room, "<net name=\"types\" version=\"11\"><layers>");

	for (unsigned i = 1; i < SCONCE_DTYPES; i++)
		n += (size_t)snprintf(
			to + n, room - n,
			"<layer id=\"%u\" name=\"i%u\" type=\"Parameter\" version=\"opset1\">"
			"<data shape=\"1\" element_type=\"%s\"/><output>"
			"<port id=\"0\" precision=\"FP32\"><dim>1</dim></port></output></layer>"
			"<layer id=\"%u\" name=\"o%u\" type=\"Result\" version=\"opset1\"><input>"
			"<port id=\"0\" precision=\"FP32\"><dim>1</dim></port></input></layer>",
			i, i, names[i], SCONCE_DTYPES + i, i);
	n += (size_t)snprintf(to + n, room - n, "</layers><edges>");
	for (unsigned i = 1; i < SCONCE_DTYPES; i++)
		n += (size_t)snprintf(to + n, room - n,
				      "<edge from-layer=\"%u\" from-port=\"0\" to-layer=\"%u\" "
				      "to-port=\"0\"/>",
				      i, SCONCE_DTYPES + i);
	return n + (size_t)snprintf(to + n, room - n, "</edges></net>");
}

int openvino_learn_types(struct openvino *o, struct sconce_error *e)
{
	const struct ov_api *a = &o->api;
	char text[TYPES_ROOM];
	ov_model *m = NULL;
	int r = openvino_check(o,
			       a->core_read_model_from_memory_buffer(
				       o->core, text, write_model(text, sizeof(text)), NULL, &m),
			       e);

	for (unsigned i = 1; !r && i < SCONCE_DTYPES; i++) {
		ov_port *p = NULL;

		r = openvino_check(o, a->model_const_input_by_index(m, i - 1, &p), e);
		if (!r)
			r = openvino_check(o, a->port_get_element_type(p, &o->types[i]), e);
		if (p)
			a->output_const_port_free(p);
	}
	if (m)
		a->model_free(m);
	return r;
}

uint32_t openvino_dtype(const struct openvino *o, unsigned type)
{
	for (uint32_t i = 1; i < SCONCE_DTYPES; i++)
		if (o->types[i] == type)
			return i;
	return SCONCE_DTYPE_ANY;
}
