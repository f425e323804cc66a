// Neutral names for the 16-bit element type of this configuration, chosen by the generated ELEM_BF16 or ELEM_F16,
// and what is built from the wrappers alone. No PTX here: device and host shim share this file.

#if defined(ELEM_BF16) == defined(ELEM_F16)
#error "define exactly one of ELEM_BF16 and ELEM_F16 before the prelude"
#endif

#if defined(ELEM_BF16)
typedef bf16 Elem;
__device__ __forceinline__ float elem_to_float(Elem v) { return bf16_to_float(v); }
__device__ __forceinline__ Elem float_to_elem(float v) { return float_to_bf16(v); }
__device__ __forceinline__ u32 pack2(float lo, float hi) { return pack2_bf16(lo, hi); }
__device__ __forceinline__ void mma_m16n8k16(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    mma_m16n8k16_bf16(d, a, b0, b1);
}
#else
typedef f16 Elem;
__device__ __forceinline__ float elem_to_float(Elem v) { return f16_to_float(v); }
__device__ __forceinline__ Elem float_to_elem(float v) { return float_to_f16(v); }
__device__ __forceinline__ u32 pack2(float lo, float hi) { return pack2_f16(lo, hi); }
__device__ __forceinline__ void mma_m16n8k16(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    mma_m16n8k16_f16(d, a, b0, b1);
}
#endif

__device__ __forceinline__ void mma_m16n8k16(float (&d)[4], const u32 (&a)[4], const u32 (&b)[2]) {
    mma_m16n8k16(d, a, b[0], b[1]);
}

// The two elements of a packed pair, as f32.
__device__ __forceinline__ float unpack_lo(u32 pair) {
    Elem v;
    v.bits = (u16)pair;
    return elem_to_float(v);
}
__device__ __forceinline__ float unpack_hi(u32 pair) {
    Elem v;
    v.bits = (u16)(pair >> 16);
    return elem_to_float(v);
}

// Over the four lanes of a quad, which together hold one row of an mma accumulator.
__device__ __forceinline__ float quad_max(float v) {
    v = fmaxf(v, shfl_xor(v, 1));
    return fmaxf(v, shfl_xor(v, 2));
}
__device__ __forceinline__ float quad_sum(float v) {
    v += shfl_xor(v, 1);
    return v + shfl_xor(v, 2);
}

// Over the whole warp; every lane receives the result.
__device__ __forceinline__ float warp_max(float v) {
    for (u32 step = WARP_SIZE / 2; step > 0; step /= 2) v = fmaxf(v, shfl_xor(v, step));
    return v;
}
__device__ __forceinline__ float warp_sum(float v) {
    for (u32 step = WARP_SIZE / 2; step > 0; step /= 2) v += shfl_xor(v, step);
    return v;
}
