// Conversions between f32 and the 16-bit formats, round to nearest even, and arithmetic on pairs of u16.

// bf16 is the upper half of an f32, so widening is a shift.
__device__ __forceinline__ float bf16_to_float(bf16 v) { return __uint_as_float((u32)v.bits << 16); }

// f32 -> bf16.
__device__ __forceinline__ bf16 float_to_bf16(float v) {
    bf16 out;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(out.bits) : "f"(v));
    return out;
}

// f16 -> f32, exact.
__device__ __forceinline__ float f16_to_float(f16 v) {
    float out;
    asm("cvt.f32.f16 %0, %1;" : "=f"(out) : "h"(v.bits));
    return out;
}

// f32 -> f16; what exceeds 65504 becomes infinity.
__device__ __forceinline__ f16 float_to_f16(float v) {
    f16 out;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(out.bits) : "f"(v));
    return out;
}

// Two f32 -> bf16x2: `lo` in bits 0..15, `hi` in bits 16..31 (PTX names the upper one first).
__device__ __forceinline__ u32 pack2_bf16(float lo, float hi) {
    u32 out;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(out) : "f"(hi), "f"(lo));
    return out;
}

// Two f32 -> f16x2: `lo` in bits 0..15, `hi` in bits 16..31.
__device__ __forceinline__ u32 pack2_f16(float lo, float hi) {
    u32 out;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(out) : "f"(hi), "f"(lo));
    return out;
}

// c + a · b₀ + a' · b₁ for the two u16 of a pair, `a` in bits 0..15, and the lower two i8 of b.
__device__ __forceinline__ i32 dp2a_lo(u32 pair, u32 b, i32 c) {
    i32 out;
    asm("dp2a.lo.u32.s32 %0, %1, %2, %3;" : "=r"(out) : "r"(pair), "r"(b), "r"(c));
    return out;
}
