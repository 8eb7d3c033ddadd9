/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libsconce-image-cuda.so: one kernel that resizes, crops and normalises (cuda_job.h), and the memory
 * around it. CUDA's runtime is linked in, and looks for the driver at the first call.
 */
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <new>

#include <cuda_runtime_api.h>

#include "image/cuda_library.h"

namespace
{

/* Of one run after the other: a stream, a block of the host's memory that is locked, and as much of
 * the GPU's. */
struct slot {
	struct gpu *of;
	slot *next;
	cudaStream_t stream;
	void *host, *device;
	size_t bytes;
};

struct gpu {
	int device;
	char name[160];
	std::mutex lock;
	slot *free; /* with the lock */
};

int fail(char *why, cudaError_t error)
{
	snprintf(why, IMAGE_CUDA_WHY_MAX, "CUDA: %s", cudaGetErrorString(error));
	cudaGetLastError(); /* what does not last is forgotten */
	return error == cudaErrorMemoryAllocation ? IMAGE_CUDA_NO_MEMORY : -1;
}

#define TRY(call)                                                                                  \
	do {                                                                                       \
		cudaError_t tried = (call);                                                        \
		if (tried != cudaSuccess)                                                          \
			return fail(why, tried);                                                   \
	} while (0)

__global__ void make(const uint8_t *block, const uint8_t *decoded, image_job job, void *to)
{
	uint32_t x = blockIdx.x * blockDim.x + threadIdx.x;
	uint32_t y = blockIdx.y * blockDim.y + threadIdx.y;

	if (x < job.width && y < job.height)
		job_pixel(block, decoded, &job, x, y, to);
}

/* ---- slots ---- */

void slot_free(slot *s)
{
	cudaFreeHost(s->host);
	cudaFree(s->device);
	if (s->stream)
		cudaStreamDestroy(s->stream);
	delete s;
}

int slot_grow(slot *s, size_t bytes, char *why)
{
	if (bytes <= s->bytes)
		return 0;
	cudaFreeHost(s->host);
	cudaFree(s->device);
	s->host = s->device = nullptr;
	s->bytes = 0;
	TRY(cudaMallocHost(&s->host, bytes));
	TRY(cudaMalloc(&s->device, bytes));
	s->bytes = bytes;
	return 0;
}

slot *slot_take(gpu *g)
{
	std::lock_guard<std::mutex> hold(g->lock);
	slot *s = g->free;

	if (s)
		g->free = s->next;
	return s;
}

/* ---- the table ---- */

int gpu_open(int device, void **ret, char *why)
{
	cudaDeviceProp properties;
	cudaMemPool_t pool;
	uint64_t keep = UINT64_MAX;
	int version = 0;

	TRY(cudaSetDevice(device));
	TRY(cudaGetDeviceProperties(&properties, device));
	TRY(cudaRuntimeGetVersion(&version));
	/* What is given back is for the next tensor. */
	TRY(cudaDeviceGetDefaultMemPool(&pool, device));
	TRY(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &keep));
	gpu *g = new (std::nothrow) gpu();

	if (!g)
		return fail(why, cudaErrorMemoryAllocation);
	g->device = device;
	snprintf(g->name, sizeof(g->name), "%.120s, CUDA %d.%d", properties.name, version / 1000,
		 version % 1000 / 10);
	*ret = g;
	return 0;
}

void gpu_close(void *opaque)
{
	gpu *g = static_cast<gpu *>(opaque);

	cudaSetDevice(g->device);
	while (slot *s = slot_take(g))
		slot_free(s);
	delete g;
}

const char *gpu_name(void *opaque)
{
	return static_cast<gpu *>(opaque)->name;
}

void gpu_end(void *opaque)
{
	slot *s = static_cast<slot *>(opaque);
	std::lock_guard<std::mutex> hold(s->of->lock);

	s->next = s->of->free;
	s->of->free = s;
}

int gpu_begin(void *opaque, size_t bytes, void **ret_slot, void **ret_block, char *why)
{
	gpu *g = static_cast<gpu *>(opaque);

	TRY(cudaSetDevice(g->device));
	slot *s = slot_take(g);

	if (!s) {
		s = new (std::nothrow) slot();
		if (!s)
			return fail(why, cudaErrorMemoryAllocation);
		s->of = g;
		cudaError_t made = cudaStreamCreateWithFlags(&s->stream, cudaStreamNonBlocking);

		if (made != cudaSuccess) {
			slot_free(s);
			return fail(why, made);
		}
	}
	int r = slot_grow(s, bytes, why);

	if (r) {
		gpu_end(s);
		return r;
	}
	*ret_slot = s;
	*ret_block = s->host;
	return 0;
}

int launch(slot *s, const image_job *job, size_t bytes, const void *decoded, void *to, char *why)
{
	dim3 threads(32, 8);
	dim3 blocks((job->width + threads.x - 1) / threads.x,
		    (job->height + threads.y - 1) / threads.y);

	TRY(cudaMemcpyAsync(s->device, s->host, bytes, cudaMemcpyHostToDevice, s->stream));
	make<<<blocks, threads, 0, s->stream>>>(static_cast<const uint8_t *>(s->device),
						static_cast<const uint8_t *>(decoded), *job, to);
	TRY(cudaGetLastError());
	TRY(cudaStreamSynchronize(s->stream));
	return 0;
}

void *gpu_stream(void *opaque)
{
	return static_cast<slot *>(opaque)->stream;
}

int gpu_wait(void *opaque, char *why)
{
	TRY(cudaStreamSynchronize(static_cast<slot *>(opaque)->stream));
	return 0;
}

int gpu_run(void *opaque, const image_job *job, size_t bytes, const void *decoded,
	    size_t result_bytes, void **ret, char *why)
{
	slot *s = static_cast<slot *>(opaque);
	void *to = nullptr;

	TRY(cudaSetDevice(s->of->device));
	TRY(cudaMallocAsync(&to, result_bytes, s->stream));
	int r = launch(s, job, bytes, decoded, to, why);

	if (r)
		cudaFreeAsync(to, s->stream);
	else
		*ret = to;
	return r;
}

int gpu_alloc(void *opaque, size_t bytes, void **ret, char *why)
{
	TRY(cudaSetDevice(static_cast<gpu *>(opaque)->device));
	TRY(cudaMallocAsync(ret, bytes, cudaStreamPerThread));
	TRY(cudaStreamSynchronize(cudaStreamPerThread));
	return 0;
}

/* Nobody works on it any more: whoever has run on it has waited for its end. */
void gpu_free(void *opaque, void *memory)
{
	cudaSetDevice(static_cast<gpu *>(opaque)->device);
	cudaFreeAsync(memory, cudaStreamPerThread);
}

int transfer(void *opaque, void *to, const void *from, size_t bytes, cudaMemcpyKind kind, char *why)
{
	TRY(cudaSetDevice(static_cast<gpu *>(opaque)->device));
	TRY(cudaMemcpyAsync(to, from, bytes, kind, cudaStreamPerThread));
	TRY(cudaStreamSynchronize(cudaStreamPerThread));
	return 0;
}

int gpu_copy(void *opaque, void *to, const void *from, size_t bytes, char *why)
{
	return transfer(opaque, to, from, bytes, cudaMemcpyDeviceToDevice, why);
}

int gpu_fetch(void *opaque, void *to, const void *from, size_t bytes, char *why)
{
	return transfer(opaque, to, from, bytes, cudaMemcpyDeviceToHost, why);
}

} /* namespace */

extern "C" __attribute__((visibility("default"))) const image_cuda_library sconce_image_cuda;
const image_cuda_library sconce_image_cuda = {
	IMAGE_CUDA_ABI, sizeof(image_job), gpu_open, gpu_close, gpu_name, gpu_begin, gpu_stream,
	gpu_wait,       gpu_run,           gpu_end,  gpu_alloc, gpu_free, gpu_copy,  gpu_fetch,
};
