// The part of CUDA C++ that kernels use without a wrapper: keywords, vector indices, bit casts, min and max.
#pragma once

#include <climits>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "../../templates/prelude/types.cuh"

// Kernels are plain functions; `extern __shared__` finds the array that memory.cpp defines. The storage class is
// __thread because it may follow `extern`.
#define __global__
#define __device__
#define __host__
#define __grid_constant__
#define __launch_bounds__(...)
#define __forceinline__ inline __attribute__((always_inline))
#define __align__(n) __attribute__((aligned(n)))
#define __shared__ __thread

struct uint3 {
    unsigned x, y, z;
};
struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
    constexpr unsigned volume() const { return x * y * z; }
};

// The scheduler sets these before it resumes a thread.
inline uint3 threadIdx, blockIdx;
inline dim3 blockDim, gridDim;

template <class To, class From>
inline To shim_bits(From from) {
    static_assert(sizeof(To) == sizeof(From), "a bit cast keeps the size");
    To to;
    std::memcpy(&to, &from, sizeof to);
    return to;
}
inline float __int_as_float(int v) { return shim_bits<float>(v); }
inline float __uint_as_float(unsigned v) { return shim_bits<float>(v); }
inline int __float_as_int(float v) { return shim_bits<int>(v); }
inline unsigned __float_as_uint(float v) { return shim_bits<unsigned>(v); }

inline float __fmul_rn(float a, float b) { return a * b; }
inline int __float2int_rn(float v) {
    if (v != v) return 0;
    return v <= -0x1p31f ? INT_MIN : v >= 0x1p31f ? INT_MAX : (int)std::nearbyint(v);
}
inline int __popc(unsigned v) { return __builtin_popcount(v); }
inline int __clz(unsigned v) { return v ? __builtin_clz(v) : 32; }
inline int __ffs(unsigned v) { return __builtin_ffs((int)v); }

// The overloads that CUDA has; a mix of signed and unsigned compares as unsigned.
#define SHIM_MIN_MAX(R, A, B) \
    inline R min(A a, B b) { return (R)a < (R)b ? (R)a : (R)b; } \
    inline R max(A a, B b) { return (R)a < (R)b ? (R)b : (R)a; }
SHIM_MIN_MAX(int, int, int)
SHIM_MIN_MAX(unsigned, unsigned, unsigned)
SHIM_MIN_MAX(unsigned, unsigned, int)
SHIM_MIN_MAX(unsigned, int, unsigned)
SHIM_MIN_MAX(long, long, long)
SHIM_MIN_MAX(unsigned long, unsigned long, unsigned long)
SHIM_MIN_MAX(long long, long long, long long)
SHIM_MIN_MAX(unsigned long long, unsigned long long, unsigned long long)
#undef SHIM_MIN_MAX
inline float min(float a, float b) { return fminf(a, b); }
inline float max(float a, float b) { return fmaxf(a, b); }
