// Proxies in e4m3: a row of queries and a block of keys have a power of two of their own, by which their largest element
// comes to lie below 448, the largest of the format.
#define ROW_LANES (ROW_CHUNKS <= 8 ? 8 : ROW_CHUNKS <= 16 ? 16 : 32) // of which ROW_CHUNKS have eight elements each
#define LEAST_EXPONENT (-118)

// The least exponent e with `largest` ≤ 448 · 2^e. 448 is 1.75 · 2^8: what exceeds it in the mantissa carries over.
__device__ __forceinline__ i32 exponent_for(float largest) {
    return max((i32)((__float_as_uint(largest) + 0x1fffff) >> 23) - 127 - 8, LEAST_EXPONENT);
}
__device__ __forceinline__ float power_of_two(i32 exponent) { return __uint_as_float((u32)(exponent + 127) << 23); }

__device__ __forceinline__ float largest_of(const float (&x)[8]) {
    float largest = 0.0f;
#pragma unroll
    for (u32 i = 0; i < 8; ++i) largest = fmaxf(largest, fabsf(x[i]));
    return largest;
}

//@if E4M3_BYTES
typedef u8 Rounded;

__device__ __forceinline__ void store_rounded(Rounded* to, const float (&x)[8], float factor) {
    st_global_v2(to, u32x2{pack4_e4m3(x[0] * factor, x[1] * factor, x[2] * factor, x[3] * factor),
                           pack4_e4m3(x[4] * factor, x[5] * factor, x[6] * factor, x[7] * factor)});
}
//@else
typedef Elem Rounded; // which holds every e4m3

// To the nearest, ties to even: an addition leaves as many bits as a mantissa of three has, or a subnormal.
__device__ __forceinline__ float round_e4m3(float x) {
    const u32 exponent = max(__float_as_uint(x) & 0x7f800000u, (127u - 6) << 23);
    const float shift = __uint_as_float((exponent + (20u << 23)) | 0x400000u);
    return (x + shift) - shift;
}

__device__ __forceinline__ void store_rounded(Rounded* to, const float (&x)[8], float factor) {
    float rounded[8];
#pragma unroll
    for (u32 i = 0; i < 8; ++i) rounded[i] = round_e4m3(x[i] * factor);
    st_global_v4(to, pack8(rounded));
}
//@end
