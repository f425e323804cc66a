// An operand of a warpgroup's product.
#pragma once

#include "access.hpp"

namespace shim {

// One operand behind a descriptor, 128-byte swizzle.
struct Operand {
    u32 addr, leading, stride;

    Operand(u64 descriptor, const char* operation, At at)
        : addr((u32)(descriptor & 0x3fff) << 4), leading((u32)(descriptor >> 16 & 0x3fff) << 4),
          stride((u32)(descriptor >> 32 & 0x3fff) << 4) {
        if (descriptor >> 62 != 1) machine.fail(std::string(operation) + ": the descriptor is not of the 128-byte swizzle", at);
        if (descriptor >> 49 & 7) machine.fail(std::string(operation) + ": the descriptor has a base offset", at);
    }
    // Address of element (row of M or N, k).
    u32 k_major(u32 row, u32 k) const { return swizzle_128(addr + row / 8 * stride + row % 8 * 128 + k * 2); }
    u32 mn_major(u32 row, u32 k) const {
        return swizzle_128(addr + row / 64 * leading + k / 8 * stride + k % 8 * 128 + row % 64 * 2);
    }
};

}  // namespace shim
