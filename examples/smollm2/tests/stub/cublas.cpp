// A library that looks like cuBLAS: matrix products in host memory, columns first, bf16 in, f32 or bf16 out.
//   MAJOR   the version that it tells
//   LACKS_x there is no function x
#include <cstdint>
#include <cstring>

#ifndef MAJOR
#define MAJOR 13
#endif
enum { SUCCESS = 0, NOT_INITIALIZED = 1, INVALID_VALUE = 7, NOT_SUPPORTED = 15 };
enum { F32 = 0, BF16 = 14, COMPUTE_F32 = 68 };

static int live;

static float read(const void* from, int type, int64_t at) {
    if (type == F32) return ((const float*)from)[at];
    const uint32_t bits = (uint32_t)((const uint16_t*)from)[at] << 16;
    float v;
    return memcpy(&v, &bits, 4), v;
}

static void write(void* to, int type, int64_t at, float v) {
    if (type == F32) {
        ((float*)to)[at] = v;
        return;
    }
    uint32_t bits;
    memcpy(&bits, &v, 4);
    ((uint16_t*)to)[at] = (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

extern "C" {
int cublasCreate_v2(void** handle) { return *handle = &live, live = 1, SUCCESS; }
int cublasDestroy_v2(void*) { return live = 0, SUCCESS; }
int cublasSetStream_v2(void* handle, void*) { return handle == &live && live ? SUCCESS : NOT_INITIALIZED; }
int cublasGetProperty(int part, int* value) { return *value = part == 0 ? MAJOR : 0, SUCCESS; }
#ifndef LACKS_cublasGetStatusString
const char* cublasGetStatusString(int status) { return status == INVALID_VALUE ? "an invalid value" : nullptr; }
#endif
int cublasGemmEx(void* handle, int op_a, int op_b, int m, int n, int k, const void* alpha, const void* a, int type_a,
                 int lda, const void* b, int type_b, int ldb, const void* beta, void* c, int type_c, int ldc, int sums,
                 int) {
    if (handle != &live || !live) return NOT_INITIALIZED;
    if (type_a != BF16 || type_b != BF16 || (type_c != BF16 && type_c != F32) || sums != COMPUTE_F32) return NOT_SUPPORTED;
    if (m <= 0 || n <= 0 || k <= 0 || lda < (op_a ? k : m) || ldb < (op_b ? n : k) || ldc < m) return INVALID_VALUE;
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = 0; i < m; i++) {
            float sum = 0;
            for (int64_t l = 0; l < k; l++)
                sum += read(a, BF16, op_a ? l + i * lda : i + l * lda) * read(b, BF16, op_b ? j + l * ldb : l + j * ldb);
            const int64_t at = i + j * ldc;
            /* With a beta of 0 the old value, which may be NaN, is not looked at. */
            const float old = *(const float*)beta == 0 ? 0 : *(const float*)beta * read(c, type_c, at);
            write(c, type_c, at, *(const float*)alpha * sum + old);
        }
    return SUCCESS;
}
}
