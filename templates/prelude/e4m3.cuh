// Eight-bit floats, sm_90a: four bits of exponent and three of mantissa.

// Four f32 -> e4m3, round to nearest even, the first in bits 0..7 (PTX names the upper one of a pair first); what exceeds 448
// becomes 448.
__device__ __forceinline__ u32 pack4_e4m3(float a, float b, float c, float d) {
    u32 out;
    asm("{\n\t.reg .b16 lo, hi;\n\tcvt.rn.satfinite.e4m3x2.f32 lo, %2, %1;\n\tcvt.rn.satfinite.e4m3x2.f32 hi, %4, %3;\n\t"
        "mov.b32 %0, {lo, hi};\n\t}"
        : "=r"(out)
        : "f"(a), "f"(b), "f"(c), "f"(d));
    return out;
}

// d[64 x 64] (+)= a[64 x 32] b[32 x 64] of e4m3, both K-major by descriptor. `accumulate` 0 overwrites d.
__device__ __forceinline__ void wgmma_m64n64k32_ss_e4m3(float (&d)[32], u64 a, u64 b, u32 accumulate) {
    asm volatile("{\n\t.reg .pred p;\n\tsetp.ne.b32 p, %34, 0;\n\t"
                 "wgmma.mma_async.sync.aligned.m64n64k32.f32.e4m3.e4m3 {" WGMMA_NAMES_32 "}, "
                 "%32, %33, p, 1, 1;\n\t}"
                 : WGMMA_IN_OUT_32(d, 0)
                 : "l"(a), "l"(b), "r"(accumulate));
}

// d[64 x 128] (+)= a[64 x 32] b[32 x 128], the same.
__device__ __forceinline__ void wgmma_m64n128k32_ss_e4m3(float (&d)[64], u64 a, u64 b, u32 accumulate) {
    asm volatile("{\n\t.reg .pred p;\n\tsetp.ne.b32 p, %66, 0;\n\t"
                 "wgmma.mma_async.sync.aligned.m64n128k32.f32.e4m3.e4m3 {" WGMMA_NAMES_64 "}, "
                 "%64, %65, p, 1, 1;\n\t}"
                 : WGMMA_IN_OUT_32(d, 0), WGMMA_IN_OUT_32(d, 32)
                 : "l"(a), "l"(b), "r"(accumulate));
}
