// Phase, arrivals and bytes, kept beside shared memory and not in it.

#include "mbarrier.hpp"

#include "access.hpp"

namespace shim {

Mbarrier& mbarrier_at(u32 bar, const char* operation, At at) {
    shared_at(bar, 8, 8, operation, at);
    auto found = machine.mbarriers.find(bar);
    if (found == machine.mbarriers.end())
        machine.fail(std::string(operation) + " of a barrier that was not initialised, at shared offset " +
                         std::to_string(bar - shared_base), at);
    return found->second;
}

static void mbarrier_advance(Mbarrier& barrier) {
    if (barrier.pending || barrier.bytes) return;
    barrier.phase++;
    barrier.pending = barrier.count;
    for (u32 thread : barrier.waiting) machine.wake(thread);
    barrier.waiting.clear();
}

void mbarrier_complete_tx(u32 bar, u32 bytes) {
    Mbarrier& barrier = machine.mbarriers.at(bar);
    barrier.bytes -= bytes;
    mbarrier_advance(barrier);
}

static void mbarrier_count_arrival(u32 bar, u32 bytes, const char* operation, At at) {
    machine.maybe_yield();
    Mbarrier& barrier = mbarrier_at(bar, operation, at);
    if (!barrier.pending) machine.fail(std::string(operation) + ": more arrivals than the barrier counts", at);
    barrier.bytes += bytes;
    barrier.pending--;
    mbarrier_advance(barrier);
}

}  // namespace shim

void mbarrier_init(u32 bar, u32 count, shim::At at) {
    shim::shared_at(bar, 8, 8, "mbarrier_init", at);
    if (count == 0) shim::machine.fail("mbarrier_init for no arrivals", at);
    shim::machine.mbarriers[bar] = {count, count, 0, 0, {}};
}
void mbarrier_arrive(u32 bar, shim::At at) {
    shim::mbarrier_count_arrival(bar, 0, "mbarrier_arrive", at);
}
void mbarrier_arrive_if(bool predicate, u32 bar, shim::At at) {
    if (predicate) shim::mbarrier_count_arrival(bar, 0, "mbarrier_arrive_if", at);
}
void mbarrier_arrive_expect_tx(u32 bar, u32 bytes, shim::At at) {
    shim::mbarrier_count_arrival(bar, bytes, "mbarrier_arrive_expect_tx", at);
}
bool mbarrier_try_wait(u32 bar, u32 parity, shim::At at) {
    shim::machine.maybe_yield();
    shim::Mbarrier& barrier = shim::mbarrier_at(bar, "mbarrier_try_wait", at);
    if ((barrier.phase & 1) == (parity & 1)) {
        barrier.waiting.push_back(shim::machine.thread_id());
        shim::machine.wait("mbarrier_try_wait", at, (int)bar);
    }
    return true;
}
void mbarrier_wait(u32 bar, u32 parity, shim::At at) { mbarrier_try_wait(bar, parity, at); }
