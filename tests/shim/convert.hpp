// Twins of prelude/convert.cuh: the formats by their bits, round to nearest even, canonical NaN as PTX gives it.
#pragma once

#include "cuda.hpp"

inline float bf16_to_float(bf16 v) { return __uint_as_float((u32)v.bits << 16); }

inline bf16 float_to_bf16(float v) {
    u32 bits = __float_as_uint(v);
    if (v != v) return {0x7fff};
    return {(u16)((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
}

inline float f16_to_float(f16 v) {
    u32 sign = (u32)(v.bits & 0x8000) << 16, magnitude = v.bits & 0x7fff;
    if (magnitude >= 0x7c00) return __uint_as_float(sign | 0x7f800000 | magnitude << 13);
    // The exponent's bias moves from 15 to 127 by a multiplication, which serves subnormals as well.
    return __uint_as_float(sign | __float_as_uint(__uint_as_float(magnitude << 13) * 0x1p112f));
}

inline f16 float_to_f16(float v) {
    u32 bits = __float_as_uint(v), magnitude = bits & 0x7fffffff;
    u16 sign = (u16)(bits >> 16 & 0x8000);
    if (v != v) return {0x7fff};
    if (magnitude >= 0x477ff000) return {(u16)(sign | 0x7c00)};  // 65520 and up
    if (magnitude < 0x38800000) {
        // Below 2^-14 the f16 spacing is 2^-24: adding 1/2 makes the f32 addition round there.
        return {(u16)(sign | (__float_as_uint(__uint_as_float(magnitude) + 0.5f) - 0x3f000000))};
    }
    return {(u16)(sign | (magnitude + 0xfff + (magnitude >> 13 & 1) - 0x38000000) >> 13)};
}

inline u32 pack2_bf16(float lo, float hi) { return float_to_bf16(lo).bits | (u32)float_to_bf16(hi).bits << 16; }
inline u32 pack2_f16(float lo, float hi) { return float_to_f16(lo).bits | (u32)float_to_f16(hi).bits << 16; }

inline i32 dp2a_lo(u32 pair, u32 b, i32 c) {
    return c + (i32)(pair & 0xffff) * (signed char)b + (i32)(pair >> 16) * (signed char)(b >> 8);
}
