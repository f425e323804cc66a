// Chance, and the operations that complete at a moment of its choosing.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

namespace shim {

// splitmix64: small, and every seed gives a different sequence.
struct Random {
    uint64_t state = 0;
    uint64_t next() {
        uint64_t z = state += 0x9e3779b97f4a7c15u;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
    }
    uint32_t below(uint32_t bound) { return (uint32_t)(((next() >> 32) * bound) >> 32); }
};

// What differs from seed to seed beside the order of threads, so that extremes are met, not only the average.
struct Policy {
    uint32_t stay;      // of 16: stay with the running warp while it can run
    uint32_t preempt;   // of 16: yield at a memory access
    uint32_t complete;  // of 16: an asynchronous copy completes at a step; 16 = at issue, 0 = when waited for
    static Policy draw(Random& random) {
        const uint32_t stays[] = {0, 12, 16}, preempts[] = {0, 1, 4}, completes[] = {0, 2, 8, 16};
        return {stays[random.below(3)], preempts[random.below(3)], completes[random.below(4)]};
    }
};

// Asynchronous operations in groups, as cp.async, bulk stores and wgmma have them.
class Queue {
    struct Item {
        uint32_t group;
        std::function<void()> run;
    };
    std::vector<Item> items;
    uint32_t open = 0;  // the group that the next commit closes

public:
    bool empty() const { return items.empty(); }
    void push(std::function<void()> run) { items.push_back({open, std::move(run)}); }
    void commit() { open++; }
    // Performs the operation at `index`.
    void land(size_t index) {
        Item item = std::move(items[index]);
        items.erase(items.begin() + (std::ptrdiff_t)index);
        item.run();
    }
    void land_any(Random& random) {
        if (!empty()) land(random.below((uint32_t)items.size()));
    }
    void land_first() {
        if (!empty()) land(0);
    }
    void land_all() {
        while (!empty()) land(0);
    }
    // Performs all but the newest `pending` committed groups; what was never committed may stay as well.
    void wait(uint32_t pending) {
        for (size_t i = 0; i < items.size();) {
            if (items[i].group + pending < open) land(i);
            else i++;
        }
    }
};

}  // namespace shim
