// The scheduler: who runs next, what completes meanwhile, and what is said when nobody can.

#include "machine.hpp"

namespace shim {

Machine machine;

void Machine::entry() {
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

void Machine::start_cta(const std::function<void()>& kernel) {
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

uint32_t Machine::pick() {
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
void Machine::progress() {
    if (random.below(16) >= policy.complete) return;
    uint32_t thread = random.below(threads.size());
    switch (random.below(4)) {
        case 0: return threads[thread].copies.land_any(random);
        case 1: return threads[thread].stores.land_any(random);
        case 2: return warps[thread / 32].products.land_first();
        default: return loads.land_any(random);
    }
}

void Machine::run_cta() {
    current = random.below(threads.size());
    while (alive) {
        resume(pick());
        progress();
    }
    loads.land_all();
    for (Thread& t : threads) t.copies.land_all(), t.stores.land_all();
    for (Warp& warp : warps) warp.products.land_all();
}

void Machine::deadlock() {
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
            text += " at " + shim::text(t.at);
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
