#include "sync.hpp"

#include "access.hpp"

namespace shim {

struct BarrierSlot {
    u32 id, threads;
};

// The arrival half of a barrier: true when it completed and released everyone who waits.
static bool barrier_arrive(const char* operation, u32 id, u32 threads, At at) {
    BarrierSlot slot{id, threads};
    machine.collective(operation, at, slot, [&](BarrierSlot* (&lanes)[32]) {
        for (BarrierSlot* lane : lanes)
            if (lane->id != id || lane->threads != threads)
                machine.fail(std::string(operation) + " with a barrier or a count that differs between lanes", at);
    });
    // Put together only where it is said: barriers are met all the time.
    auto which = [&] { return std::string(operation) + " " + std::to_string(id); };
    if (id >= 16) machine.fail(which() + ": barriers are 0..15", at);
    if (threads == 0 || threads % 32) machine.fail(which() + " for a thread count that is no multiple of 32", at);
    Barrier& barrier = machine.barriers[id];
    if (barrier.arrived && barrier.expected != threads)
        machine.fail(which() + " for " + std::to_string(threads) + " threads, while others meet there for " +
                         std::to_string(barrier.expected), at);
    barrier.expected = threads;
    if (++barrier.arrived < threads) return false;
    for (u32 thread : barrier.waiting) machine.wake(thread);
    barrier.waiting.clear();
    barrier.arrived = 0;
    return true;
}

static void barrier_sync(const char* operation, u32 id, u32 threads, At at) {
    if (barrier_arrive(operation, id, threads, at)) return;
    machine.barriers[id].waiting.push_back(machine.thread_id());
    machine.wait(operation, at, (int)id);
}

}  // namespace shim

void sync_threads(shim::At at) {
    shim::barrier_sync("sync_threads", 0, blockDim.volume(), at);
}
void sync_warp(shim::At at) {
    int nothing = 0;
    shim::machine.collective("sync_warp", at, nothing, [](int* (&)[32]) {});
}
void named_barrier_sync(u32 id, u32 threads, shim::At at) {
    shim::barrier_sync("named_barrier_sync", id, threads, at);
}
void named_barrier_arrive(u32 id, u32 threads, shim::At at) {
    shim::barrier_arrive("named_barrier_arrive", id, threads, at);
}

namespace shim {

template <class Combine>
static u32 atomic(u32* p, u32 v, Combine combine) {
    u32 old = *p;
    *p = combine(old, v);
    return old;
}
static u32 sum(u32 a, u32 b) { return a + b; }
static u32 larger(u32 a, u32 b) { return a > b ? a : b; }

}  // namespace shim

u32 atomic_add_global(u32* p, u32 v, shim::At at) {
    shim::machine.maybe_yield();
    return shim::atomic((u32*)shim::global_at(p, 4, "atomic_add_global", at), v, shim::sum);
}
u32 atomic_max_global(u32* p, u32 v, shim::At at) {
    shim::machine.maybe_yield();
    return shim::atomic((u32*)shim::global_at(p, 4, "atomic_max_global", at), v, shim::larger);
}
u32 atomic_add_shared(u32 addr, u32 v, shim::At at) {
    shim::machine.maybe_yield();
    return shim::atomic((u32*)shim::shared_at(addr, 4, 4, "atomic_add_shared", at), v, shim::sum);
}
u32 atomic_max_shared(u32 addr, u32 v, shim::At at) {
    shim::machine.maybe_yield();
    return shim::atomic((u32*)shim::shared_at(addr, 4, 4, "atomic_max_shared", at), v, shim::larger);
}
