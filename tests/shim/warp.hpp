// Twins of prelude/warp.cuh.
#pragma once

#include "machine.hpp"
#include "memory.hpp"

namespace shim {

// What each lane brings to a shuffle, vote or reduction, and what it takes away.
struct LaneSlot {
    u32 in, argument, out;
};

template <class Act>
inline u32 exchange(const char* operation, At at, u32 in, u32 argument, Act act) {
    LaneSlot slot{in, argument, 0};
    machine.collective(operation, at, slot, [&](LaneSlot* (&lanes)[32]) { act(lanes); });
    return slot.out;
}

// A shuffle: `source(lane, argument)` says whose value a lane takes; outside 0..31 it keeps its own.
template <class T, class Source>
inline T shuffle(const char* operation, At at, T v, u32 argument, Source source) {
    static_assert(sizeof(T) == 4, "shuffles move 32 bits");
    return shim_bits<T>(exchange(operation, at, shim_bits<u32>(v), argument, [&](LaneSlot* (&lanes)[32]) {
        for (u32 lane = 0; lane < 32; lane++) {
            u32 from = source(lane, lanes[lane]->argument);
            lanes[lane]->out = lanes[from < 32 ? from : lane]->in;
        }
    }));
}

// A reduction: everyone receives `combine` over all lanes.
template <class Combine>
inline u32 reduce(const char* operation, At at, u32 v, Combine combine) {
    return exchange(operation, at, v, 0, [&](LaneSlot* (&lanes)[32]) {
        u32 total = lanes[0]->in;
        for (u32 lane = 1; lane < 32; lane++) total = combine(total, lanes[lane]->in);
        for (u32 lane = 0; lane < 32; lane++) lanes[lane]->out = total;
    });
}

// The approximate instructions flush subnormals to a signed zero, on the way in and out.
inline float flush(float v) { return std::fpclassify(v) == FP_SUBNORMAL ? std::copysign(0.0f, v) : v; }

}  // namespace shim

inline u32 lane_id() { return shim::machine.thread_id() % 32; }
inline u32 warp_id() { return threadIdx.x / WARP_SIZE; }

inline float select(bool first, float a, float b) { return first ? a : b; }
template <class T>
inline T shfl_xor(T v, u32 lane_mask, shim::At at = shim::At::here()) {
    return shim::shuffle("shfl_xor", at, v, lane_mask, [](u32 lane, u32 mask) { return lane ^ mask; });
}
template <class T>
inline T shfl_up(T v, u32 delta, shim::At at = shim::At::here()) {
    return shim::shuffle("shfl_up", at, v, delta, [](u32 lane, u32 by) { return lane - by; });
}
template <class T>
inline T shfl_down(T v, u32 delta, shim::At at = shim::At::here()) {
    return shim::shuffle("shfl_down", at, v, delta, [](u32 lane, u32 by) { return lane + by; });
}
template <class T>
inline T shfl_idx(T v, u32 source, shim::At at = shim::At::here()) {
    return shim::shuffle("shfl_idx", at, v, source, [](u32, u32 from) { return from % 32; });
}

inline u32 ballot(bool predicate, shim::At at = shim::At::here()) {
    return shim::exchange("ballot", at, predicate, 0, [](shim::LaneSlot* (&lanes)[32]) {
        u32 mask = 0;
        for (u32 lane = 0; lane < 32; lane++) mask |= lanes[lane]->in << lane;
        for (u32 lane = 0; lane < 32; lane++) lanes[lane]->out = mask;
    });
}
inline bool any_sync(bool predicate, shim::At at = shim::At::here()) {
    return shim::reduce("any_sync", at, predicate, [](u32 a, u32 b) { return a | b; });
}
inline bool all_sync(bool predicate, shim::At at = shim::At::here()) {
    return shim::reduce("all_sync", at, predicate, [](u32 a, u32 b) { return a & b; });
}
inline u32 redux_add(u32 v, shim::At at = shim::At::here()) {
    return shim::reduce("redux_add", at, v, [](u32 a, u32 b) { return a + b; });
}
inline u32 redux_max(u32 v, shim::At at = shim::At::here()) {
    return shim::reduce("redux_max", at, v, [](u32 a, u32 b) { return a > b ? a : b; });
}
inline u32 redux_min(u32 v, shim::At at = shim::At::here()) {
    return shim::reduce("redux_min", at, v, [](u32 a, u32 b) { return a < b ? a : b; });
}

inline u32 uniform(u32 v, shim::At at = shim::At::here()) {
    if (redux_min(v, at) != redux_max(v, at)) shim::machine.fail("uniform: the lanes of a warp differ", at);
    return v;
}

inline float exp2_approx(float v) { return shim::flush(std::exp2(shim::flush(v))); }
inline float log2_approx(float v) { return std::log2(shim::flush(v)); }
inline float rcp_approx(float v) { return shim::flush(1.0f / shim::flush(v)); }
