// What `kernels.cu` needs to run on the host: a warp is 32 fibers that meet at every shuffle.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "fiber.hpp"

#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(threads)

struct Index {
    unsigned x, y, z;
};
static Index threadIdx, blockIdx;

template <class To, class From>
static To bits(From from) {
    static_assert(sizeof(To) == sizeof(From), "a bit cast keeps the size");
    To to;
    std::memcpy(&to, &from, sizeof to);
    return to;
}
static inline float __uint_as_float(unsigned v) { return bits<float>(v); }
static inline unsigned __float_as_uint(float v) { return bits<unsigned>(v); }
static inline float rsqrtf(float v) { return 1.0f / sqrtf(v); }

namespace warp {

static shim::Fiber scheduler, lanes[32];
static shim::Stacks stacks;
static unsigned slots[32], first_thread, current;
static bool ended[32];
static void (*body)(void*);
static void* body_of;

static void wait() { shim::Fiber::change(lanes[current], scheduler); }

static void enter() {
    body(body_of);
    ended[current] = true;
    for (;;) wait();
}

// Runs a kernel's body for the 32 threads of a warp from thread `first` of the CTA on.
static void run(unsigned first, void (*kernel)(void*), void* of) {
    stacks.grow(32);
    first_thread = first;
    body = kernel;
    body_of = of;
    for (unsigned i = 0; i < 32; i++) {
        ended[i] = false;
        lanes[i].start(stacks.at(i), shim::Stacks::bytes, enter);
    }
    for (bool left = true; left;) {
        left = false;
        for (current = 0; current < 32; current++) {
            if (ended[current]) continue;
            threadIdx = {first + current, 0, 0};
            shim::Fiber::change(scheduler, lanes[current]);
            left = left || !ended[current];
        }
    }
}

}  // namespace warp

// All 32 lanes come here together: each leaves its value, and takes another's once all have.
template <class T>
static T __shfl_xor_sync(unsigned mask, T v, unsigned step) {
    if (mask != 0xffffffffu) __builtin_trap();
    warp::slots[warp::current] = bits<unsigned>(v);
    warp::wait();
    const T other = bits<T>(warp::slots[warp::current ^ step]);
    warp::wait();
    return other;
}
