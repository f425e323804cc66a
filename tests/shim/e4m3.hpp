// Twins of prelude/e4m3.cuh.
#pragma once

#include "group.hpp"

float e4m3_to_float(u8 v);
// The value at the least distance, the even pattern where two have it.
u8 float_to_e4m3(float v);
u32 pack4_e4m3(float a, float b, float c, float d);

inline void wgmma_m64n64k32_ss_e4m3(float (&d)[32], u64 a, u64 b, u32 accumulate, shim::At at = shim::At::here()) {
    shim::GroupSlot slot{d, nullptr, a, b, accumulate};
    shim::wgmma_e4m3(slot, 64, "wgmma_m64n64k32_ss_e4m3", at);
}
inline void wgmma_m64n128k32_ss_e4m3(float (&d)[64], u64 a, u64 b, u32 accumulate, shim::At at = shim::At::here()) {
    shim::GroupSlot slot{d, nullptr, a, b, accumulate};
    shim::wgmma_e4m3(slot, 128, "wgmma_m64n128k32_ss_e4m3", at);
}
