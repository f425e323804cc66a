/* A library that looks like the CUDA driver and does as the test says.
 *   -DLACKS_x        there is no function x
 *   STUB_MEMORY      the largest request for memory that is met, in bytes; without it, any.
 *   STUB_CAPABILITY  the GPU's compute capability: "9.0". Before 9.0 memory is not allocated in stream order.
 *   STUB_GPUS        how many GPUs there are: 1
 *   STUB_FAIL        the function of that name fails, each time; "*" for every function
 *   STUB_CODE        the code that failing functions return: 999
 *   STUB_FAIL_AT     the call of that number fails, whatever it is; calls are counted from 1
 *   STUB_CALLS       every call tells its number
 *   STUB_VERSION     the CUDA version that the driver speaks: 13000
 *   STUB_FAST        launches of so many threads to a CTA take half a millisecond; all others take one
 *   STUB_EVENTS      records of events and waits for them are told, too
 *   STUB_STREAMS     launches, records and waits are told once more, each with the stream that it is put into, and in the end
 *                    the number of streams and events that were not destroyed
 *   STUB_PARAMS      a launch tells so many words of its parameters, too
 * Device memory is host memory. A launch does nothing, and is told on the standard output like a failure, a memset and,
 * in the end, the number of calls and of allocations that were not freed. */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef uint64_t Address;
enum { SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, UNKNOWN = 999 };

static int calls, live, handles;
static unsigned threads; /* of the last launch */
static __thread void *current;
static __thread int mode; /* how strict a thread is with captures: 2 for not at all */

static void tell(const char *format, ...) {
    char line[256];
    va_list values;
    va_start(values, format);
    int length = vsnprintf(line, sizeof line, format, values);
    va_end(values);
    if (write(1, line, length) != length) abort();
}

static int fails(const char *name) {
    int number = __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
    const char *always = getenv("STUB_FAIL"), *once = getenv("STUB_FAIL_AT");
    int failing = (always && (strcmp(always, name) == 0 || strcmp(always, "*") == 0)) || (once && atoi(once) == number);
    if (getenv("STUB_CALLS")) tell("\ncall %d\n", number);
    if (failing) tell("\nfails %s%s\n", name, mode == 2 ? " (relaxed)" : "");
    return failing;
}

__attribute__((destructor)) static void end(void) {
    tell("\ncalls %d\nlive %d\n", calls, live);
    if (getenv("STUB_STREAMS")) tell("\nhandles %d\n", handles);
}

static int code(void) {
    const char *text = getenv("STUB_CODE");
    return text ? atoi(text) : UNKNOWN;
}

#define CALL(name, ...) int name(__VA_ARGS__) { if (fails(#name)) return code();
#define END return SUCCESS; }

static int capability(void) {
    const char *text = getenv("STUB_CAPABILITY");
    return text ? (text[0] - '0') * 10 + (text[2] - '0') : 0;
}

static int allocate(Address *address, size_t bytes) {
    void *memory = NULL;
    const char *most = getenv("STUB_MEMORY");
    if (most && bytes > strtoull(most, NULL, 10)) return OUT_OF_MEMORY;
    if (posix_memalign(&memory, 512, bytes ? bytes : 1)) return OUT_OF_MEMORY;
    memset(memory, 0, bytes);
    *address = (Address)memory;
    __atomic_add_fetch(&live, 1, __ATOMIC_RELAXED);
    return SUCCESS;
}

static void release(Address address) {
    __atomic_sub_fetch(&live, 1, __ATOMIC_RELAXED);
    free((void *)address);
}

static void tell_params(const uint64_t *words) {
    const char *count = getenv("STUB_PARAMS");
    for (int i = 0; count && i < atoi(count); ++i) tell("\nparam %llx\n", (unsigned long long)words[i]);
}

/* Streams are numbers. A stream that waits for an event of a capture is in that capture from then on, and has to be waited
 * for in turn, behind the last that was put into it, before the stream that it began with ends it. */
enum { STREAMS = 256, UNJOINED = 904, ISOLATION = 905 };
static struct { int capture, origin, put, joined; } streams[STREAMS];
static int made = 1, captures;
typedef struct { int capture, stream, put; } Event;

static int number(void *stream) { return (int)((Address)stream / 64 % STREAMS); }

static void put(void *stream, const char *what, const void *name) {
    __atomic_add_fetch(&streams[number(stream)].put, 1, __ATOMIC_RELAXED);
    if (getenv("STUB_STREAMS")) tell(name ? "\non %d %s %p\n" : "\non %d %s\n", number(stream), what, name);
}

static int begin_capture(int at) {
    if (streams[at].capture) return INVALID_VALUE;
    streams[at].capture = __atomic_add_fetch(&captures, 1, __ATOMIC_RELAXED);
    streams[at].origin = 1;
    return SUCCESS;
}

static int end_capture(int at) {
    int capture = streams[at].capture, result = SUCCESS;
    if (!capture || !streams[at].origin) return INVALID_VALUE;
    for (int i = 0; i < STREAMS; ++i) {
        if (streams[i].capture != capture) continue;
        if (!streams[i].origin && streams[i].joined != streams[i].put) result = UNJOINED;
        streams[i].capture = streams[i].origin = 0;
    }
    return result;
}

static int wait_event(int at, const Event *event) {
    if (streams[at].capture && streams[at].capture != event->capture) return ISOLATION;
    streams[at].capture = event->capture;
    if (event->capture) streams[event->stream].joined = event->put;
    return SUCCESS;
}

CALL(cuInit, unsigned flags) END
CALL(cuDriverGetVersion, int *version)
    const char *text = getenv("STUB_VERSION");
    *version = text ? atoi(text) : 13000;
END
CALL(cuDeviceTotalMem_v2, size_t *bytes, int device) *bytes = (size_t)80 << 30; END
CALL(cuDeviceGet, int *device, int ordinal) *device = ordinal; END
CALL(cuDeviceGetCount, int *count)
    const char *text = getenv("STUB_GPUS");
    *count = text ? atoi(text) : 1;
END
CALL(cuDeviceGetName, char *name, int room, int device) snprintf(name, room, "Stub"); END
CALL(cuDeviceGetAttribute, int *value, int attribute, int device)
    switch (attribute) {
    case 16: *value = 4; break;                      /* multiprocessors */
    case 38: *value = 1 << 20; break;                /* L2 cache */
    case 75: *value = capability() / 10; break;
    case 76: *value = capability() % 10; break;
    case 97: *value = 227 * 1024; break;             /* shared memory of a block */
    case 115: *value = capability() >= 90; break;    /* allocation in stream order */
    default: *value = 0;
    }
END
CALL(cuDevicePrimaryCtxRetain, void **context, int device) *context = &calls; END
CALL(cuDevicePrimaryCtxRelease_v2, int device) END
CALL(cuCtxGetCurrent, void **context) *context = current; END
CALL(cuCtxSetCurrent, void *context) current = context; END
CALL(cuCtxSynchronize, void) END
CALL(cuThreadExchangeStreamCaptureMode, int *other) int last = mode; mode = *other; *other = last; END
CALL(cuStreamCreate, void **stream, unsigned flags)
    *stream = (void *)(64 * (Address)__atomic_fetch_add(&made, 1, __ATOMIC_RELAXED));
    __atomic_add_fetch(&handles, 1, __ATOMIC_RELAXED);
END
CALL(cuStreamDestroy_v2, void *stream) __atomic_sub_fetch(&handles, 1, __ATOMIC_RELAXED); END
CALL(cuStreamSynchronize, void *stream) END
#ifndef LACKS_cuStreamGetCaptureInfo_v2
CALL(cuStreamGetCaptureInfo_v2, void *stream, unsigned *status, uint64_t *id, void *graph, void *nodes, size_t *count)
    if (id) *id = streams[number(stream)].capture;
    *status = streams[number(stream)].capture != 0;
END
#endif
CALL(cuStreamBeginCapture_v2, void *stream, unsigned mode) return begin_capture(number(stream)); END
CALL(cuStreamEndCapture, void *stream, void **graph) *graph = NULL; return end_capture(number(stream)); END
CALL(cuStreamWaitEvent, void *stream, void *event, unsigned flags)
    put(stream, "wait", event);
    if (getenv("STUB_EVENTS")) tell("\nwait %p\n", event);
    return wait_event(number(stream), event);
END
CALL(cuEventCreate, void **event, unsigned flags)
    *event = calloc(1, sizeof(Event));
    __atomic_add_fetch(&handles, 1, __ATOMIC_RELAXED);
END
CALL(cuEventDestroy_v2, void *event)
    free(event);
    __atomic_sub_fetch(&handles, 1, __ATOMIC_RELAXED);
END
CALL(cuEventRecord, void *event, void *stream)
    put(stream, "record", event);
    *(Event *)event = (Event){streams[number(stream)].capture, number(stream), streams[number(stream)].put};
    if (getenv("STUB_EVENTS")) tell("\nrecord %p\n", event);
END
CALL(cuEventSynchronize, void *event) END
CALL(cuEventElapsedTime, float *ms, void *from, void *to) 
    const char *fast = getenv("STUB_FAST");
    *ms = fast && atoi(fast) == (int)threads ? 0.5f : 1.0f;
END
CALL(cuMemAlloc_v2, Address *address, size_t bytes) return allocate(address, bytes); END
CALL(cuMemAllocAsync, Address *address, size_t bytes, void *stream) return allocate(address, bytes); END
CALL(cuMemFree_v2, Address address) release(address); END
CALL(cuMemFreeAsync, Address address, void *stream) release(address); END
CALL(cuMemcpyDtoHAsync_v2, void *to, Address from, size_t bytes, void *stream) memcpy(to, (void *)from, bytes); END
CALL(cuMemcpyHtoDAsync_v2, Address to, void *from, size_t bytes, void *stream) memcpy((void *)to, from, bytes); END
CALL(cuMemcpyDtoDAsync_v2, Address to, Address from, size_t bytes, void *stream)
    memcpy((void *)to, (void *)from, bytes);
END
CALL(cuMemcpyPeerAsync, Address to, void *there, Address from, void *here, size_t bytes, void *stream)
    memcpy((void *)to, (void *)from, bytes);
END
CALL(cuMemsetD8Async, Address to, unsigned char value, size_t bytes, void *stream)
    memset((void *)to, value, bytes);
    tell("\nmemset %zu\n", bytes);
END
CALL(cuMemsetD2D8Async, Address to, size_t pitch, unsigned char value, size_t bytes, size_t rows, void *stream)
    for (size_t row = 0; row < rows; ++row) memset((char *)to + row * pitch, value, bytes);
    tell("\nmemset %zu x %zu\n", rows, bytes);
END
#ifndef LACKS_cuModuleLoadData
CALL(cuModuleLoadData, void **module, const void *image) *module = (void *)image; END
#endif
CALL(cuModuleUnload, void *module) END
CALL(cuModuleGetFunction, void **function, void *module, const char *name) *function = strdup(name); END
CALL(cuFuncSetAttribute, void *function, int attribute, int value) END
CALL(cuLaunchKernel, void *function, unsigned x, unsigned y, unsigned z, unsigned bx, unsigned by, unsigned bz,
     unsigned shared, void *stream, void **params, void **extra)
    if (x * y * z == 0 || bx > 1024 || shared > 227 * 1024 || (Address)params[0] % 64 != 0) return INVALID_VALUE;
    threads = bx;
    put(stream, (const char *)function, NULL);
    tell("\nlaunch %s\nthreads %u\n", (const char *)function, bx);
    tell_params(params[0]);
END
#ifndef LACKS_cuTensorMapEncodeTiled
CALL(cuTensorMapEncodeTiled, char *map, unsigned type, unsigned rank, void *address, const uint64_t *dims,
     const uint64_t *strides, const uint32_t *box, const uint32_t *steps, unsigned interleave, unsigned swizzle,
     unsigned promotion, unsigned fill)
    if ((Address)map % 64 != 0 || (Address)address % 16 != 0 || rank != 4 || box[0] * 2 > 128) return INVALID_VALUE;
    for (int i = 0; i < 3; ++i)
        if (strides[i] == 0 || strides[i] % 16 != 0 || strides[i] >> 40 != 0) return INVALID_VALUE;
    for (int i = 0; i < 4; ++i)
        if (dims[i] == 0 || box[i] == 0 || box[i] > 256) return INVALID_VALUE;
    memset(map, 1, 128);
    memcpy(map, &address, 8);
    memcpy(map + 8, dims, 32);
    memcpy(map + 40, strides, 24);
END
#endif

static int fails_all(void) {
    const char *always = getenv("STUB_FAIL");
    return always && strcmp(always, "*") == 0;
}

int cuGetErrorName(int error, const char **name) { *name = "STUB"; return fails_all() ? code() : SUCCESS; }
int cuGetErrorString(int error, const char **text) { *text = "stub"; return fails_all() ? code() : SUCCESS; }
