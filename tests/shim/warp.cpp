#include "warp.hpp"

#include "access.hpp"

namespace shim {

// What each lane brings to a shuffle, vote or reduction, and what it takes away.
struct LaneSlot {
    u32 in, argument, out;
};

template <class Act>
static u32 exchange(const char* operation, At at, u32 in, u32 argument, Act act) {
    LaneSlot slot{in, argument, 0};
    machine.collective(operation, at, slot, [&](LaneSlot* (&lanes)[32]) { act(lanes); });
    return slot.out;
}

// A shuffle: `source(lane, argument)` says whose value a lane takes; outside 0..31 it keeps its own.
template <class Source>
static u32 shuffle(const char* operation, At at, u32 v, u32 argument, Source source) {
    return exchange(operation, at, v, argument, [&](LaneSlot* (&lanes)[32]) {
        for (u32 lane = 0; lane < 32; lane++) {
            u32 from = source(lane, lanes[lane]->argument);
            lanes[lane]->out = lanes[from < 32 ? from : lane]->in;
        }
    });
}
u32 shuffle_xor(u32 v, u32 lane_mask, At at) {
    return shuffle("shfl_xor", at, v, lane_mask, [](u32 lane, u32 mask) { return lane ^ mask; });
}
u32 shuffle_up(u32 v, u32 delta, At at) {
    return shuffle("shfl_up", at, v, delta, [](u32 lane, u32 by) { return lane - by; });
}
u32 shuffle_down(u32 v, u32 delta, At at) {
    return shuffle("shfl_down", at, v, delta, [](u32 lane, u32 by) { return lane + by; });
}
u32 shuffle_from(u32 v, u32 source, At at) {
    return shuffle("shfl_idx", at, v, source, [](u32, u32 from) { return from % 32; });
}

// A reduction: everyone receives `combine` over all lanes.
template <class Combine>
static u32 reduce(const char* operation, At at, u32 v, Combine combine) {
    return exchange(operation, at, v, 0, [&](LaneSlot* (&lanes)[32]) {
        u32 total = lanes[0]->in;
        for (u32 lane = 1; lane < 32; lane++) total = combine(total, lanes[lane]->in);
        for (u32 lane = 0; lane < 32; lane++) lanes[lane]->out = total;
    });
}

// The approximate instructions flush subnormals to a signed zero, on the way in and out.
static float flush(float v) { return std::fpclassify(v) == FP_SUBNORMAL ? std::copysign(0.0f, v) : v; }

}  // namespace shim

u32 lane_id() { return shim::machine.thread_id() % 32; }

u32 ballot(bool predicate, shim::At at) {
    return shim::exchange("ballot", at, predicate, 0, [](shim::LaneSlot* (&lanes)[32]) {
        u32 mask = 0;
        for (u32 lane = 0; lane < 32; lane++) mask |= lanes[lane]->in << lane;
        for (u32 lane = 0; lane < 32; lane++) lanes[lane]->out = mask;
    });
}
bool any_sync(bool predicate, shim::At at) {
    return shim::reduce("any_sync", at, predicate, [](u32 a, u32 b) { return a | b; });
}
bool all_sync(bool predicate, shim::At at) {
    return shim::reduce("all_sync", at, predicate, [](u32 a, u32 b) { return a & b; });
}
u32 redux_add(u32 v, shim::At at) {
    return shim::reduce("redux_add", at, v, [](u32 a, u32 b) { return a + b; });
}
u32 redux_max(u32 v, shim::At at) {
    return shim::reduce("redux_max", at, v, [](u32 a, u32 b) { return a > b ? a : b; });
}
u32 redux_min(u32 v, shim::At at) {
    return shim::reduce("redux_min", at, v, [](u32 a, u32 b) { return a < b ? a : b; });
}

u32 uniform(u32 v, shim::At at) {
    if (redux_min(v, at) != redux_max(v, at)) shim::machine.fail("uniform: the lanes of a warp differ", at);
    return v;
}

float exp2_approx(float v) { return shim::flush(std::exp2(shim::flush(v))); }
float log2_approx(float v) { return std::log2(shim::flush(v)); }
float rcp_approx(float v) { return shim::flush(1.0f / shim::flush(v)); }
