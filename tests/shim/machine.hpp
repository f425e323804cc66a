// One CTA at a time: its threads, the random schedule, the meeting points, and the detector of deadlocks and
// diverged warps.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "cuda.hpp"
#include "fiber.hpp"
#include "queue.hpp"

namespace shim {

// A kernel that misbehaved: what happened, which thread, where.
struct Error : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// A place in the kernel text; as a default argument it is the caller's.
struct At {
    const char* file;
    int line;
    static At here(const char* file = __builtin_FILE(), int line = __builtin_LINE()) { return {file, line}; }
    bool operator==(const At& other) const { return line == other.line && !std::strcmp(file, other.file); }
    std::string text() const {
        const char* slash = std::strrchr(file, '/');
        return std::string(slash ? slash + 1 : file) + ":" + std::to_string(line);
    }
};

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
        std::string text = who() + " at " + at.text() + ": " + message;
        if (!inside) throw Error(text);
        error = text;
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
        } else if (std::strcmp(warp.operation, operation) || !(warp.at == at)) {
            fail(std::string("the warp diverged: this lane reached ") + operation + " while others wait in " +
                     warp.operation + " at " + warp.at.text(), at);
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

inline Machine machine;

inline void Machine::entry() {
    Machine& m = machine;
    m.body();
    Thread& t = m.self();
    t.done = true;
    Warp& warp = m.warps[m.current / 32];
    warp.ready &= ~(1u << m.current % 32);
    warp.finished |= 1u << m.current % 32;
    m.alive--;
    m.suspend();
}

inline void Machine::start_cta(const std::function<void()>& kernel) {
    uint32_t count = blockDim.volume();
    stacks.grow(count);
    body = kernel;
    alive = count;
    threads.assign(count, {});
    warps.assign(count / 32, {});
    barriers.assign(16, {});
    mbarriers.clear();
    loads = {};
    for (uint32_t i = 0; i < count; i++) {
        threads[i].index = {i % blockDim.x, i / blockDim.x % blockDim.y, i / (blockDim.x * blockDim.y)};
        threads[i].fiber.start(stacks.at(i), Stacks::bytes, entry);
        warps[i / 32].ready |= 1u << i % 32;
    }
}

inline uint32_t Machine::pick() {
    auto can_run = [&] {
        for (const Warp& warp : warps)
            if (warp.ready) return true;
        return false;
    };
    // TMA needs nobody's help: when all wait, loads arrive until somebody can go on.
    while (!can_run()) {
        if (loads.empty()) deadlock();
        loads.land_any(random);
    }
    uint32_t warp = current / 32, runnable = 0;
    if (!warps[warp].ready || random.below(16) >= policy.stay) {
        for (uint32_t i = 0; i < warps.size(); i++)
            if (warps[i].ready && random.below(++runnable) == 0) warp = i;
    }
    uint32_t lanes = warps[warp].ready;
    for (uint32_t skip = random.below(__popc(lanes)); skip > 0; skip--) lanes &= lanes - 1;
    return warp * 32 + __ffs(lanes) - 1;
}

// Lets one operation of one of the queues complete.
inline void Machine::progress() {
    if (random.below(16) >= policy.complete) return;
    uint32_t thread = random.below(threads.size());
    switch (random.below(4)) {
        case 0: return threads[thread].copies.land_any(random);
        case 1: return threads[thread].stores.land_any(random);
        case 2: return warps[thread / 32].products.land_first();
        default: return loads.land_any(random);
    }
}

inline void Machine::run_cta() {
    current = random.below(threads.size());
    while (alive) {
        resume(pick());
        progress();
    }
    loads.land_all();
    for (Thread& t : threads) t.copies.land_all(), t.stores.land_all();
    for (Warp& warp : warps) warp.products.land_all();
}

inline void Machine::deadlock() {
    std::string text = "deadlock in block (" + std::to_string(blockIdx.x) + "," + std::to_string(blockIdx.y) + "," +
                       std::to_string(blockIdx.z) + "):";
    // Neighbours that wait in the same place share a line.
    for (uint32_t first = 0; first < threads.size();) {
        const Thread& t = threads[first];
        uint32_t last = first;
        auto same = [&](const Thread& o) {
            return o.done == t.done && (t.done || (o.waits_in == t.waits_in && o.at == t.at && o.wait_id == t.wait_id));
        };
        while (last + 1 < threads.size() && same(threads[last + 1])) last++;
        text += "\n  threads " + std::to_string(first) + ".." + std::to_string(last);
        if (t.done) {
            text += " returned";
        } else {
            text += std::string(" wait in ") + t.waits_in;
            if (t.wait_id >= 0) text += " " + std::to_string(t.wait_id);
            text += " at " + t.at.text();
        }
        first = last + 1;
    }
    for (uint32_t id = 0; id < barriers.size(); id++)
        if (barriers[id].arrived)
            text += "\n  barrier " + std::to_string(id) + ": " + std::to_string(barriers[id].arrived) + " of " +
                    std::to_string(barriers[id].expected) + " threads arrived";
    for (const auto& [addr, barrier] : mbarriers)
        if (!barrier.waiting.empty())
            text += "\n  mbarrier " + std::to_string(addr) + ": phase " + std::to_string(barrier.phase) + " lacks " +
                    std::to_string(barrier.pending) + " arrivals and " + std::to_string(barrier.bytes) + " bytes";
    throw Error(text);
}

}  // namespace shim
