// What a warpgroup does as one.
#pragma once

#include "at.hpp"
#include "cuda.hpp"

namespace shim {

struct GroupSlot {
    float* d;
    const u32* a;  // null where a is behind a descriptor
    u64 a_descriptor, b_descriptor;
    u32 accumulate;
};

// Issues d[64 x n] (+)= a b for the calling warp.
void wgmma(GroupSlot& slot, bf16 element, u32 n, bool transposed, const char* operation, At at);
void wgmma(GroupSlot& slot, f16 element, u32 n, bool transposed, const char* operation, At at);
// Issues d[64 x n] (+)= a[64 x 32] b[32 x n], of e4m3.
void wgmma_e4m3(GroupSlot& slot, u32 n, const char* operation, At at);
void wgmma_wait(u32 pending, At at);
// For what a warp does as one, without an effect here.
void meet(const char* operation, At at);

}  // namespace shim
