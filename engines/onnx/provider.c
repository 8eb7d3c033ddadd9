/* SPDX-License-Identifier: Apache-2.0 */
#include "onnx.h"

/*
 * Where a session computes: on the processor, unless device or settings say otherwise. What one
 * provider cannot do, the next does, and the processor's is always the last.
 */

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPTIONS_MAX 32
#define OPTION_ROOM 512

/* Options of a provider, as it wants them: texts. */
struct options {
	const char *keys[OPTIONS_MAX], *values[OPTIONS_MAX];
	char texts[OPTIONS_MAX][OPTION_ROOM];
	size_t n;
};

static int options_add(struct options *o, const char *key, yyjson_val *value,
		       struct sconce_error *e)
{
	if (o->n == OPTIONS_MAX || settings_value(value, o->texts[o->n], OPTION_ROOM) < 0)
		return kit_fail(e, -1,
				"engine: the option %.100s of a provider is no text or number, or "
				"there are more than %d",
				key, OPTIONS_MAX);
	o->keys[o->n] = key;
	o->values[o->n] = o->texts[o->n];
	o->n++;
	return 0;
}

static void options_put(struct options *o, const char *key, const char *value)
{
	snprintf(o->texts[o->n], OPTION_ROOM, "%s", value);
	o->keys[o->n] = key;
	o->values[o->n] = o->texts[o->n];
	o->n++;
}

static int options_read(struct options *o, yyjson_val *from, struct sconce_error *e)
{
	yyjson_val *key, *value;
	size_t i, n;
	int r = 0;

	if (from && !yyjson_is_obj(from))
		return kit_fail(e, -1, "engine: options of a provider are no mapping");
	yyjson_obj_foreach(from, i, n, key, value) if (!r)
		r = options_add(o, yyjson_get_str(key), value, e);
	return r;
}

/* ---- CUDA ---- */

static int load_library(void *arg, const char *path)
{
	(void)arg;
	dlopen(path, RTLD_LAZY | RTLD_GLOBAL);
	return -1; /* and the others that match */
}

/* NVIDIA's libraries may be Python packages, where no loader looks for them. */
static void cuda_libraries(const struct onnx *o)
{
	static const char *const names[] = { "cudart", "nvJitLink", "nvrtc",  "cublasLt",
					     "cublas", "cufft",     "curand", "cudnn" };
	char pattern[128];

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		snprintf(pattern, sizeof(pattern), "nvidia/*/lib/lib%s.so.*", names[i]);
		package_find(o->host, pattern, load_library, NULL);
	}
}

static int cuda_missing(const struct onnx *o, struct sconce_error *e)
{
	return kit_fail(e, -1,
			"the ONNX Runtime that was found has no CUDA provider (%.300s has %.100s): "
			"%.400s -m pip install onnxruntime-gpu in place of onnxruntime",
			o->path, o->providers,
			o->host->python && *o->host->python ? o->host->python : "python3");
}

static int append_cuda(struct onnx_model *m, ort_session_options *options, long device, bool exact,
		       struct sconce_error *e)
{
	const struct ort_api *a = m->engine->api;
	struct options *o = calloc(1, sizeof(*o));
	ort_cuda_options *cuda = NULL;
	char number[24];
	int r;

	if (!o)
		return kit_no_memory(e);
	cuda_libraries(m->engine);
	snprintf(number, sizeof(number), "%ld", device);
	options_put(o, "device_id", number);
	/* Grows by what is asked for, not by doubling; ten bits less than fp32 only when allowed.
	 */
	options_put(o, "arena_extend_strategy", "kSameAsRequested");
	options_put(o, "use_tf32", exact ? "0" : "1");
	r = options_read(o, yyjson_obj_get(m->settings.root, "cuda"), e);
	if (!r)
		r = onnx_check(m->engine, a->create_cuda_options(&cuda), e);
	if (!r)
		r = onnx_check(m->engine, a->update_cuda_options(cuda, o->keys, o->values, o->n),
			       e);
	if (!r)
		r = onnx_check(m->engine, a->append_cuda(options, cuda), e);
	if (cuda)
		a->release_cuda_options(cuda);
	free(o);
	return r;
}

/* "cuda:1": 1. -1: the processor; -2: something else. */
static long device_number(const char *device)
{
	char *end;
	long n = 0;

	if (strcmp(device, "cpu") == 0)
		return -1;
	if (strncmp(device, "cuda", strlen("cuda")) != 0)
		return -2;
	device += strlen("cuda");
	if (*device == ':')
		n = strtol(device + 1, &end, 10);
	return !*device || (*device == ':' && device[1] && !*end && n >= 0) ? n : -2;
}

long onnx_gpu(const struct onnx_model *m)
{
	return device_number(m->device);
}

static int use_device(struct onnx_model *m, ort_session_options *options, bool exact,
		      struct sconce_error *e)
{
	long number = device_number(m->device);

	if (number == -1)
		return 0;
	if (number < 0)
		return kit_fail(e, -1, "device \"%.100s\": ONNX Runtime has cpu and cuda:N here",
				m->device);
	if (!strstr(m->engine->devices, "cuda"))
		return cuda_missing(m->engine, e);
	return append_cuda(m, options, number, exact, e);
}

/* ---- others ---- */

static int append_named(struct onnx_model *m, ort_session_options *options, const char *name,
			yyjson_val *from, struct sconce_error *e)
{
	struct options *o;
	int r;

	if (strcmp(name, "CPU") == 0)
		return 0;
	if (m->engine->api_version < 12)
		return kit_fail(e, -1, "engine: providers: ONNX Runtime 1.12 is needed");
	if (!(o = calloc(1, sizeof(*o))))
		return kit_no_memory(e);
	r = options_read(o, from, e);
	if (!r &&
	    onnx_check(m->engine,
		       m->engine->api->append_provider(options, name, o->keys, o->values, o->n), e))
		r = kit_fail(e, -1,
			     "engine: providers: %.100s cannot be used; the library has %.300s",
			     name, m->engine->providers);
	free(o);
	return r;
}

/* A name, or one with its options: `- XNNPACK: {intra_op_num_threads: 2}`. */
static int append_item(struct onnx_model *m, ort_session_options *options, yyjson_val *item,
		       struct sconce_error *e)
{
	yyjson_val *key, *value;
	size_t i, n;
	int r = 0;

	if (yyjson_is_str(item))
		return append_named(m, options, yyjson_get_str(item), NULL, e);
	if (!yyjson_is_obj(item))
		return kit_fail(e, -1, "engine: providers: is no list of names");
	yyjson_obj_foreach(item, i, n, key, value) if (!r)
		r = append_named(m, options, yyjson_get_str(key), value, e);
	return r;
}

static int use_others(struct onnx_model *m, ort_session_options *options, struct sconce_error *e)
{
	yyjson_val *list = yyjson_obj_get(m->settings.root, "providers"), *item;
	size_t i, n;
	int r = 0;

	if (list && !yyjson_is_arr(list))
		return kit_fail(e, -1, "engine: providers: is no list of names");
	yyjson_arr_foreach(list, i, n, item) if (!r) r = append_item(m, options, item, e);
	return r;
}

/* ---- precision ---- */

static int use_bf16(struct onnx_model *m, ort_session_options *options, struct sconce_error *e)
{
#if defined(__aarch64__)
	return onnx_check(m->engine,
			  m->engine->api->add_config(
				  options, "mlas.enable_gemm_fastmath_arm64_bfloat16", "1"),
			  e);
#else
	(void)m, (void)options;
	return kit_fail(e, -1,
			"engine: precision: ONNX Runtime computes in bf16 on arm64 only; OpenVINO "
			"does on this processor, if it can");
#endif
}

int onnx_providers(struct onnx_model *m, ort_session_options *options, struct sconce_error *e)
{
	const char *precision = "fp32";
	int r = settings_text(&m->settings, "precision", &precision, e);

	if (!r && strcmp(precision, "bf16") == 0)
		r = use_bf16(m, options, e);
	else if (!r && strcmp(precision, "fp32") != 0 && strcmp(precision, "tf32") != 0)
		r = kit_fail(e, -1, "engine: precision: \"%.100s\" is none of fp32, tf32, bf16",
			     precision);
	if (!r)
		r = use_others(m, options, e);
	if (!r)
		r = use_device(m, options, strcmp(precision, "tf32") != 0, e);
	return r;
}
