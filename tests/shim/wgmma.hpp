// Twins of prelude/wgmma.cuh and warpgroup.cuh. Each warp of the group computes its sixteen rows when the product
// lands: any time between its issue and the wait that covers it, in order of issue.
#pragma once

#include <array>

#include "../../templates/prelude/descriptor.cuh"
#include "mma.hpp"
#include "tma.hpp"

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

inline float element_at(u32 addr) { return elem_to_float(load<Elem>(smem + (addr - shared_base))); }

struct GroupSlot {
    float* d;
    const u32* a;  // null where a is behind a descriptor
    u64 a_descriptor, b_descriptor;
    u32 accumulate;
};

// Issues d[64 x n] (+)= a b for the calling warp.
inline void wgmma(GroupSlot& slot, u32 n, bool transposed, const char* operation, At at) {
    machine.collective(operation, at, slot, [=](GroupSlot* (&lanes)[32]) {
        bool in_registers = lanes[0]->a != nullptr;
        std::array<std::array<float, 16>, 16> fragment{};
        std::array<float*, 32> d;
        for (u32 lane = 0; lane < 32; lane++) {
            const GroupSlot& mine = *lanes[lane];
            d[lane] = mine.d;
            if (mine.b_descriptor != lanes[0]->b_descriptor || mine.a_descriptor != lanes[0]->a_descriptor ||
                mine.accumulate != lanes[0]->accumulate)
                machine.fail(std::string(operation) + ": operands differ between lanes", at);
            for (u32 i = 0; in_registers && i < 8; i++) {
                u32 pair = mine.a[i / 2], row = lane / 4 + i / 2 % 2 * 8, k = lane % 4 * 2 + i / 4 * 8 + i % 2;
                fragment[row][k] = i % 2 ? unpack_hi(pair) : unpack_lo(pair);
            }
        }
        u32 row0 = machine.thread_id() / 32 % 4 * 16;
        Operand b(lanes[0]->b_descriptor, operation, at);
        Operand a = in_registers ? b : Operand(lanes[0]->a_descriptor, operation, at);
        // Checked at issue, while there is a thread to name.
        for (u32 k = 0; k < 16; k++) {
            for (u32 col = 0; col < n; col++)
                shared_at(transposed ? b.mn_major(col, k) : b.k_major(col, k), 2, 2, operation, at);
            for (u32 row = 0; !in_registers && row < 16; row++)
                shared_at(a.k_major(row0 + row, k), 2, 2, operation, at);
        }
        bool accumulate = lanes[0]->accumulate != 0;
        auto product = [=]() mutable {
            for (u32 row = 0; !in_registers && row < 16; row++)
                for (u32 k = 0; k < 16; k++) fragment[row][k] = element_at(a.k_major(row0 + row, k));
            for (u32 col = 0; col < n; col++) {
                float column[16];
                for (u32 k = 0; k < 16; k++) column[k] = element_at(transposed ? b.mn_major(col, k) : b.k_major(col, k));
                for (u32 row = 0; row < 16; row++) {
                    float sum = 0;
                    for (u32 k = 0; k < 16; k++) sum += fragment[row][k] * column[k];
                    float& out = d[row % 8 * 4 + col % 8 / 2][col / 8 * 4 + row / 8 * 2 + col % 2];
                    out = accumulate ? out + sum : sum;
                }
            }
        };
        Queue& products = machine.warps[machine.thread_id() / 32].products;
        products.push(product);
        if (machine.policy.complete == 16) products.land_all();
    });
}

// Runs `act` once for the warp.
template <class Act>
inline void once_per_warp(const char* operation, At at, Act act) {
    int nothing = 0;
    machine.collective(operation, at, nothing, [&](int* (&)[32]) { act(machine.warps[machine.thread_id() / 32]); });
}

}  // namespace shim

inline void wgmma_fence(shim::At at = shim::At::here()) {
    shim::once_per_warp("wgmma_fence", at, [](shim::Warp&) {});
}
inline void wgmma_commit(shim::At at = shim::At::here()) {
    shim::once_per_warp("wgmma_commit", at, [](shim::Warp& warp) { warp.products.commit(); });
}
template <int Pending>
inline void wgmma_wait(shim::At at = shim::At::here()) {
    shim::once_per_warp("wgmma_wait", at, [](shim::Warp& warp) { warp.products.wait(Pending); });
}
template <int Count>
inline void wgmma_hold(float (&)[Count]) {}

#define SHIM_WGMMA(N) \
    template <int Transposed> \
    inline void wgmma_m64n##N##k16_ss(float (&d)[N / 2], u64 a, u64 b, u32 accumulate, \
                                      shim::At at = shim::At::here()) { \
        shim::GroupSlot slot{d, nullptr, a, b, accumulate}; \
        shim::wgmma(slot, N, Transposed, "wgmma_m64n" #N "k16_ss", at); \
    } \
    template <int Transposed> \
    inline void wgmma_m64n##N##k16_rs(float (&d)[N / 2], const u32 (&a)[4], u64 b, u32 accumulate, \
                                      shim::At at = shim::At::here()) { \
        shim::GroupSlot slot{d, a, 0, b, accumulate}; \
        shim::wgmma(slot, N, Transposed, "wgmma_m64n" #N "k16_rs", at); \
    }
SHIM_WGMMA(64)
SHIM_WGMMA(128)
#undef SHIM_WGMMA

template <int Count>
inline void registers_decrease(shim::At at = shim::At::here()) {
    static_assert(Count % 8 == 0, "register counts are multiples of 8");
    shim::once_per_warp("registers_decrease", at, [](shim::Warp&) {});
}
template <int Count>
inline void registers_increase(shim::At at = shim::At::here()) {
    static_assert(Count % 8 == 0, "register counts are multiples of 8");
    shim::once_per_warp("registers_increase", at, [](shim::Warp&) {});
}
inline bool elect_one(shim::At at = shim::At::here()) {
    shim::once_per_warp("elect_one", at, [](shim::Warp&) {});
    return lane_id() == 0;
}
