// One CTA at a time: its threads, the random schedule, the meeting points, and the detector of deadlocks and
// diverged warps.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "at.hpp"
#include "cuda.hpp"
#include "fiber.hpp"
#include "queue.hpp"

namespace shim {

// A kernel that misbehaved: what happened, which thread, where.
struct Error : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// Mostly one literal: only where it is not are letters compared.
inline bool same(const char* a, const char* b) { return a == b || !std::strcmp(a, b); }
inline bool operator==(At a, At b) { return a.line == b.line && same(a.file, b.file); }
inline std::string text(At at) {
    const char* slash = std::strrchr(at.file, '/');
    return std::string(slash ? slash + 1 : at.file) + ":" + std::to_string(at.line);
}

struct Thread {
    Fiber fiber;
    uint3 index;
    const char* waits_in = nullptr;  // null while it can run
    int wait_id = -1;                // barrier number or address, where there is one
    At at{"", 0};
    bool done = false;
    Queue copies;                    // cp.async
    Queue stores;                    // TMA, shared to global
};

struct Warp {
    uint32_t ready = 0, finished = 0, arrived = 0;
    const char* operation = nullptr;
    At at{"", 0};
    void* slots[32];
    Queue products;  // wgmma; these complete in order
};

struct Barrier {
    uint32_t expected = 0, arrived = 0;
    std::vector<uint32_t> waiting;
};

struct Mbarrier {
    uint32_t count, pending, phase = 0;
    int64_t bytes = 0;  // announced and not arrived yet
    std::vector<uint32_t> waiting;
};

class Machine {
    Fiber scheduler;
    Stacks stacks;
    std::function<void()> body;
    std::string error;
    uint32_t current = 0, alive = 0;
    bool inside = false;

    static void entry();
    std::string who(uint32_t id) const {
        const Thread& t = threads[id];
        std::string name = "block (" + std::to_string(blockIdx.x) + "," + std::to_string(blockIdx.y) + "," +
                           std::to_string(blockIdx.z) + ") ";
        if (t.index.y || t.index.z)
            name += "thread (" + std::to_string(t.index.x) + "," + std::to_string(t.index.y) + "," +
                    std::to_string(t.index.z) + ") ";
        return name + "warp " + std::to_string(id / 32) + " lane " + std::to_string(id % 32);
    }
    void suspend() { Fiber::change(threads[current].fiber, scheduler); }
    void resume(uint32_t id) {
        current = id;
        threadIdx = threads[id].index;
        inside = true;
        Fiber::change(scheduler, threads[id].fiber);
        inside = false;
        if (!error.empty()) throw Error(std::exchange(error, {}));
    }
    uint32_t pick();
    void progress();
    [[noreturn]] void deadlock();

public:
    std::vector<Thread> threads;
    std::vector<Warp> warps;
    std::vector<Barrier> barriers;
    std::map<uint32_t, Mbarrier> mbarriers;  // by shared address
    Queue loads;                             // TMA, global to shared: of the CTA, whoever issued them
    Random random;
    Policy policy{};

    bool running() const { return inside; }
    uint32_t thread_id() const { return current; }
    Thread& self() { return threads[current]; }
    std::string who() const { return inside ? who(current) : "the host"; }

    // Abandons the launch with a message; the fibers are dropped as they stand.
    [[noreturn]] void fail(const std::string& message, At at) {
        std::string all = who() + " at " + text(at) + ": " + message;
        if (!inside) throw Error(all);
        error = all;
        suspend();
        __builtin_unreachable();
    }

    // Waits until another thread calls wake for this one.
    void wait(const char* operation, At at, int id = -1) {
        Thread& t = self();
        t.waits_in = operation;
        t.at = at;
        t.wait_id = id;
        warps[current / 32].ready &= ~(1u << current % 32);
        suspend();
    }
    void wake(uint32_t id) {
        threads[id].waits_in = nullptr;
        warps[id / 32].ready |= 1u << id % 32;
    }
    // A memory access: now and then others go first.
    void maybe_yield() {
        if (policy.preempt && random.below(16) < policy.preempt) suspend();
    }

    // All 32 lanes meet; the last one runs `act` on everyone's slot.
    template <class Slot, class Act>
    void collective(const char* operation, At at, Slot& slot, Act act) {
        Warp& warp = warps[current / 32];
        uint32_t lane = current % 32;
        if (warp.finished) fail(std::string(operation) + " in a warp some of whose lanes have returned", at);
        if (warp.arrived == 0) {
            warp.operation = operation;
            warp.at = at;
        } else if (!same(warp.operation, operation) || !(warp.at == at)) {
            fail(std::string("the warp diverged: this lane reached ") + operation + " while others wait in " +
                     warp.operation + " at " + text(warp.at), at);
        }
        warp.slots[lane] = &slot;
        warp.arrived |= 1u << lane;
        if (warp.arrived != ~0u) return wait(operation, at);
        Slot* slots[32];
        for (int i = 0; i < 32; i++) slots[i] = (Slot*)warp.slots[i];
        act(slots);
        warp.arrived = 0;
        for (uint32_t i = 0; i < 32; i++) wake(current / 32 * 32 + i);
        suspend();  // the last to arrive has no right to go first
    }

    void start_cta(const std::function<void()>& kernel);
    void run_cta();
};

extern Machine machine;

}  // namespace shim
