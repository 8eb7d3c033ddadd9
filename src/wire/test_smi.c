/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/util.h"
#include "wire/smi.h"

static const struct {
	const char *text;
	unsigned n;
	unsigned index[3];
} outputs[] = {
	{ "", 0, { 0 } },
	{ "\n\n", 0, { 0 } },
	{ "No devices were found\n", 0, { 0 } },
	{ "NVIDIA-SMI has failed because it couldn't communicate with the driver\n", 0, { 0 } },
	{ "index\n0\n1\n", 2, { 0, 1 } },
	{ "index\r\n0\r\n1", 2, { 0, 1 } },
	{ "0\n2\n", 2, { 0, 2 } },
	{ "index, uuid\n0, GPU-1\nnonsense\n1, GPU-2\n", 2, { 0, 1 } },
	{ "uuid, index\nGPU-1, 4\n", 1, { 4 } },
	{ "GPU 0: Tesla T4 (UUID: GPU-1)\n  MIG 1g.5gb Device 0: (UUID: MIG-1)\n"
	  "GPU 1: Tesla T4 (UUID: GPU-2)\n",
	  2,
	  { 0, 1 } },
	{ "\nWARNING: power state\ndevice,Device Name\ncard0,0x740c\ncard1,0x740c\n", 2, { 0, 1 } },
	{ "gpu,gpu_bdf,gpu_uuid\n0,0000:01:00.0,a\n1,0000:02:00.0,b\n", 2, { 0, 1 } },
	{ "Device ID,Device Name\n0,\"Flex 170\"\n", 1, { 0 } },
	{ "index\n-1\n99999999999999999999\n70000\n1\n", 1, { 1 } },
	{ "0\n1\n2\n3\n4\n", 3, { 0, 1, 2 } },
};

static void every_tool_is_understood(void **state)
{
	struct smi_gpu gpus[3];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(outputs); i++) {
		unsigned n = smi_parse(slice_str(outputs[i].text), gpus, 3);

		assert_int_equal(n, outputs[i].n);
		for (unsigned g = 0; g < n; g++)
			assert_int_equal(gpus[g].index, outputs[i].index[g]);
	}
}

static void use_is_found_by_title(void **state)
{
	struct smi_gpu g[2];

	(void)state;
	assert_int_equal(smi_parse(SLICE("index, uuid, memory.used [MiB], utilization.gpu [%]\n"
					 "1, GPU-1, 1024 MiB, 45 %\n"
					 "0\n"),
				   g, 2),
			 2);
	assert_int_equal(g[0].index, 1);
	assert_true(slice_eq(g[0].uuid, SLICE("GPU-1")));
	assert_true(slice_eq(g[0].memory_used, SLICE("1024 MiB")));
	assert_true(slice_eq(g[0].busy, SLICE("45 %")));
	assert_null(g[0].memory_busy.p);
	assert_null(g[1].busy.p);
}

static void rows_without_a_number_come_in_order(void **state)
{
	struct smi_gpu g[2];

	(void)state;
	assert_int_equal(smi_parse(SLICE("utilization.gpu [%], utilization.memory [%]\n"
					 "7 %, 1 %\n8 %, 2 %\n"),
				   g, 2),
			 2);
	assert_int_equal(g[1].index, 1);
	assert_true(slice_eq(g[1].memory_busy, SLICE("2 %")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_tool_is_understood),
		cmocka_unit_test(use_is_found_by_title),
		cmocka_unit_test(rows_without_a_number_come_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
