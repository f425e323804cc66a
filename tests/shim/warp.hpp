// Twins of prelude/warp.cuh.
#pragma once

#include "at.hpp"
#include "cuda.hpp"

namespace shim {

// Shuffles move 32 bits, whatever they are.
u32 shuffle_xor(u32 v, u32 lane_mask, At at);
u32 shuffle_up(u32 v, u32 delta, At at);
u32 shuffle_down(u32 v, u32 delta, At at);
u32 shuffle_from(u32 v, u32 source, At at);

}  // namespace shim

u32 lane_id();
inline u32 warp_id() { return threadIdx.x / WARP_SIZE; }

inline float select(bool first, float a, float b) { return first ? a : b; }
template <class T>
inline T shfl_xor(T v, u32 lane_mask, shim::At at = shim::At::here()) {
    return shim_bits<T>(shim::shuffle_xor(shim_bits<u32>(v), lane_mask, at));
}
template <class T>
inline T shfl_up(T v, u32 delta, shim::At at = shim::At::here()) {
    return shim_bits<T>(shim::shuffle_up(shim_bits<u32>(v), delta, at));
}
template <class T>
inline T shfl_down(T v, u32 delta, shim::At at = shim::At::here()) {
    return shim_bits<T>(shim::shuffle_down(shim_bits<u32>(v), delta, at));
}
template <class T>
inline T shfl_idx(T v, u32 source, shim::At at = shim::At::here()) {
    return shim_bits<T>(shim::shuffle_from(shim_bits<u32>(v), source, at));
}

u32 ballot(bool predicate, shim::At at = shim::At::here());
bool any_sync(bool predicate, shim::At at = shim::At::here());
bool all_sync(bool predicate, shim::At at = shim::At::here());
u32 redux_add(u32 v, shim::At at = shim::At::here());
u32 redux_max(u32 v, shim::At at = shim::At::here());
u32 redux_min(u32 v, shim::At at = shim::At::here());
u32 uniform(u32 v, shim::At at = shim::At::here());

float exp2_approx(float v);
float log2_approx(float v);
float rcp_approx(float v);
