// A library that looks like the CUDA driver and computes: device memory is host memory, the model's own kernels run as they
// are, and `proxyattn_dense` is plain attention. Compiled with the options of `gpu::program` and three more:
//   KERNELS  the path of kernels.cu
//   DENSE    the path of a header that declares struct Dense as the launch ABI of `proxyattn_dense` has it
//   LACKS    if given, a kernel's name: a module does not have it
// Every buffer ends within 256 bytes of where no memory is, and what is between is looked at: who runs over an end faults, or
// the stream fails.
#include <sys/mman.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <tuple>
#include <utility>
#include <vector>

#include "warp.hpp"
#include KERNELS
#include DENSE

typedef u64 Address;
enum { SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NOT_FOUND = 500, ILLEGAL_ADDRESS = 700 };

static const size_t TOTAL = (size_t)1 << 30, PAGE = 4096;
static std::mutex lock;
struct Buffer {
    void* base;
    size_t mapped, bytes, room;
};
static std::map<Address, Buffer> buffers;
static size_t taken;
static thread_local void* bound;

static int allocate(Address* address, size_t bytes) {
    std::lock_guard<std::mutex> guard(lock);
    const size_t room = (bytes + 255) / 256 * 256;
    const size_t mapped = (room + PAGE - 1) / PAGE * PAGE + PAGE;
    if (taken + mapped - PAGE > TOTAL) return OUT_OF_MEMORY;
    char* base = (char*)mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) return OUT_OF_MEMORY;
    mprotect(base + mapped - PAGE, PAGE, PROT_NONE);
    *address = (Address)(base + mapped - PAGE - room);
    memset((void*)*address, 0xff, room);  // NaN in every format, so that what was not written shows
    buffers[*address] = {base, mapped, bytes, room};
    taken += mapped - PAGE;
    return SUCCESS;
}

// Whether nothing was written between the end of a buffer and the end of its memory.
static int intact() {
    std::lock_guard<std::mutex> guard(lock);
    for (const auto& [address, buffer] : buffers)
        for (size_t at = buffer.bytes; at < buffer.room; at++)
            if (((unsigned char*)address)[at] != 0xff) return ILLEGAL_ADDRESS;
    return SUCCESS;
}

static int release(Address address) {
    std::lock_guard<std::mutex> guard(lock);
    const auto found = buffers.find(address);
    if (found == buffers.end()) return INVALID_VALUE;
    taken -= found->second.mapped - PAGE;
    munmap(found->second.base, found->second.mapped);
    buffers.erase(found);
    return SUCCESS;
}

// Calls a kernel with its parameters, each of which lies where the driver is told.
template <class... T, size_t... I>
static void call(void (*kernel)(T...), void** params, std::index_sequence<I...>) {
    kernel(*(T*)params[I]...);
}

template <class... T>
static int launch(void (*kernel)(T...), void** params, unsigned ctas, unsigned threads) {
    auto body = [&] { call(kernel, params, std::index_sequence_for<T...>()); };
    for (unsigned cta = 0; cta < ctas; cta++)
        for (unsigned first = 0; first < threads; first += 32) {
            blockIdx = {cta, 0, 0};
            warp::run(first, [](void* of) { (*(decltype(body)*)of)(); }, &body);
        }
    return SUCCESS;
}

// Causal attention of every query over the keys up to its own, which is the last for the last query.
static int dense(const Dense& p, unsigned kv_heads) {
    const float scale = 1.0f / sqrtf((float)HEAD_DIM);
    std::vector<float> weights(p.kv_len);
    for (unsigned head = 0; head < kv_heads * p.heads_per_kv; head++)
        for (int query = 0; query < p.q_len; query++) {
            const u16* q = p.q + head * p.q_head + query * p.q_token;
            const u16* k = p.k + head / p.heads_per_kv * p.k_head;
            const u16* v = p.v + head / p.heads_per_kv * p.v_head;
            u16* out = p.out + head * p.out_head + query * p.out_token;
            const int keys = p.kv_len - p.q_len + query + 1;
            float largest = -INFINITY, sum = 0;
            for (int key = 0; key < keys; key++) {
                float score = 0;
                for (unsigned i = 0; i < HEAD_DIM; i++)
                    score += first_of(q[i]) * first_of(k[key * p.k_token + i]);
                weights[key] = score * scale;
                largest = std::max(largest, weights[key]);
            }
            for (int key = 0; key < keys; key++) sum += weights[key] = expf(weights[key] - largest);
            for (unsigned i = 0; i < HEAD_DIM; i++) {
                float value = 0;
                for (int key = 0; key < keys; key++) value += weights[key] * first_of(v[key * p.v_token + i]);
                out[i] = (u16)round_bf16(value / sum);
            }
        }
    return SUCCESS;
}

extern "C" {
int cuInit(unsigned) { return SUCCESS; }
int cuDriverGetVersion(int* version) { return *version = 13000, SUCCESS; }
int cuDeviceGet(int* device, int ordinal) { return *device = ordinal, ordinal == 0 ? SUCCESS : INVALID_VALUE; }
int cuDeviceGetCount(int* count) { return *count = 1, SUCCESS; }
int cuDeviceGetName(char* name, int room, int) { return snprintf(name, room, "Stub"), SUCCESS; }
int cuDeviceGetAttribute(int* value, int attribute, int) {
    switch (attribute) {
    case 16: *value = 4; break;           /* multiprocessors */
    case 75: *value = 8; break;           /* compute capability, major */
    case 97: *value = 163 * 1024; break;  /* shared memory of a block */
    default: *value = 0;
    }
    return SUCCESS;
}
int cuDevicePrimaryCtxRetain(void** context, int) { return *context = &buffers, SUCCESS; }
int cuDevicePrimaryCtxRelease_v2(int) { return SUCCESS; }
int cuCtxGetCurrent(void** context) { return *context = bound, SUCCESS; }
int cuCtxSetCurrent(void* context) { return bound = context, SUCCESS; }
int cuCtxSynchronize() { return SUCCESS; }
int cuThreadExchangeStreamCaptureMode(int*) { return SUCCESS; }
int cuStreamCreate(void** stream, unsigned) { return *stream = (void*)64, SUCCESS; }
int cuStreamDestroy_v2(void*) { return SUCCESS; }
int cuStreamSynchronize(void*) { return intact(); }
int cuStreamWaitEvent(void*, void*, unsigned) { return SUCCESS; }
int cuEventCreate(void** event, unsigned flags) { return *event = new std::pair<timespec, unsigned>({}, flags), SUCCESS; }
int cuEventDestroy_v2(void* event) { return delete (std::pair<timespec, unsigned>*)event, SUCCESS; }
int cuEventRecord(void* event, void*) {
    return clock_gettime(CLOCK_MONOTONIC, &((std::pair<timespec, unsigned>*)event)->first), SUCCESS;
}
int cuEventSynchronize(void*) { return SUCCESS; }
int cuEventElapsedTime(float* ms, void* from, void* to) {
    const auto &a = *(std::pair<timespec, unsigned>*)from, &b = *(std::pair<timespec, unsigned>*)to;
    if (a.second & 2 || b.second & 2) return INVALID_VALUE; /* made without the time */
    *ms = (b.first.tv_sec - a.first.tv_sec) * 1e3f + (b.first.tv_nsec - a.first.tv_nsec) * 1e-6f;
    return SUCCESS;
}
int cuMemGetInfo_v2(size_t* left, size_t* total) { return *left = TOTAL - taken, *total = TOTAL, SUCCESS; }
int cuMemAlloc_v2(Address* address, size_t bytes) { return allocate(address, bytes); }
int cuMemAllocAsync(Address* address, size_t bytes, void*) { return allocate(address, bytes); }
int cuMemFree_v2(Address address) { return release(address); }
int cuMemFreeAsync(Address address, void*) { return release(address); }
int cuMemcpyDtoHAsync_v2(void* to, Address from, size_t n, void*) { return memcpy(to, (void*)from, n), SUCCESS; }
int cuMemcpyHtoDAsync_v2(Address to, void* from, size_t n, void*) { return memcpy((void*)to, from, n), SUCCESS; }
int cuMemcpyDtoDAsync_v2(Address to, Address from, size_t n, void*) {
    return memcpy((void*)to, (void*)from, n), SUCCESS;
}
int cuMemcpyPeerAsync(Address, void*, Address, void*, size_t, void*) { return INVALID_VALUE; }
int cuMemsetD8Async(Address to, unsigned char value, size_t n, void*) { return memset((void*)to, value, n), SUCCESS; }
int cuMemsetD2D8Async(Address to, size_t pitch, unsigned char value, size_t n, size_t rows, void*) {
    for (size_t row = 0; row < rows; ++row) memset((char*)to + row * pitch, value, n);
    return SUCCESS;
}
int cuModuleLoadData(void** module, const void* image) { return *module = (void*)image, SUCCESS; }
int cuModuleUnload(void*) { return SUCCESS; }
int cuModuleGetFunction(void** function, void*, const char* name) {
#ifdef LACKS
    if (strcmp(name, LACKS) == 0) return NOT_FOUND;
#endif
    return *function = strdup(name), SUCCESS;
}
int cuFuncSetAttribute(void*, int, int) { return SUCCESS; }
int cuLaunchKernel(void* function, unsigned x, unsigned y, unsigned z, unsigned threads, unsigned ty, unsigned tz,
                   unsigned, void*, void** params, void**) {
    const char* name = (const char*)function;
    if (strcmp(name, "proxyattn_dense") == 0) return z == 1 ? dense(*(const Dense*)params[0], y) : INVALID_VALUE;
    if (threads != THREADS || x == 0 || y * z * ty * tz != 1) return INVALID_VALUE;
#define KERNEL_NAMED(kernel) if (strcmp(name, #kernel) == 0) return launch(kernel, params, x, threads)
    KERNEL_NAMED(embed);
    KERNEL_NAMED(rms_norm);
    KERNEL_NAMED(rotate);
    KERNEL_NAMED(silu_mul);
    KERNEL_NAMED(argmax);
    return NOT_FOUND;
}
int cuGetErrorName(int, const char** name) { return *name = "STUB", SUCCESS; }
int cuGetErrorString(int, const char** text) { return *text = "stub", SUCCESS; }
}
