// Twins of prelude/wgmma.cuh and warpgroup.cuh.
#pragma once

#include "../../templates/prelude/descriptor.cuh"
#include "group.hpp"

inline void wgmma_fence(shim::At at = shim::At::here()) { shim::meet("wgmma_fence", at); }
void wgmma_commit(shim::At at = shim::At::here());
template <int Pending>
inline void wgmma_wait(shim::At at = shim::At::here()) {
    shim::wgmma_wait(Pending, at);
}
template <int Count>
inline void wgmma_hold(float (&)[Count]) {}

#define SHIM_WGMMA(N) \
    template <int Transposed> \
    inline void wgmma_m64n##N##k16_ss(float (&d)[N / 2], u64 a, u64 b, u32 accumulate, \
                                      shim::At at = shim::At::here()) { \
        shim::GroupSlot slot{d, nullptr, a, b, accumulate}; \
        shim::wgmma(slot, Elem{}, N, Transposed, "wgmma_m64n" #N "k16_ss", at); \
    } \
    template <int Transposed> \
    inline void wgmma_m64n##N##k16_rs(float (&d)[N / 2], const u32 (&a)[4], u64 b, u32 accumulate, \
                                      shim::At at = shim::At::here()) { \
        shim::GroupSlot slot{d, a, 0, b, accumulate}; \
        shim::wgmma(slot, Elem{}, N, Transposed, "wgmma_m64n" #N "k16_rs", at); \
    }
SHIM_WGMMA(64)
SHIM_WGMMA(128)
#undef SHIM_WGMMA

template <int Count>
inline void registers_decrease(shim::At at = shim::At::here()) {
    static_assert(Count % 8 == 0, "register counts are multiples of 8");
    shim::meet("registers_decrease", at);
}
template <int Count>
inline void registers_increase(shim::At at = shim::At::here()) {
    static_assert(Count % 8 == 0, "register counts are multiples of 8");
    shim::meet("registers_increase", at);
}
bool elect_one(shim::At at = shim::At::here());
